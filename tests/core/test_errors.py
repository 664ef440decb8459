"""What a name that nobody knows is answered with."""

import pytest

from glue_harness.core.errors import unknown

FEW = ["green", "red"]
MANY = [f"n{number:02}" for number in range(25)]


@pytest.mark.parametrize(
    ("name", "known", "lister", "message"),
    [
        ("grean", FEW, "glue colours", "unknown colour 'grean': did you mean green?"),
        ("x", FEW, "glue colours", "unknown colour 'x': known: green, red"),
        ("x", MANY, "glue colours", "unknown colour 'x': glue colours lists them"),
        ("x", MANY, "", f"unknown colour 'x': known: {', '.join(MANY[:20])} and 5 more"),
    ],
)
def test_an_unknown_name_gets_the_nearest_or_a_short_list(name, known, lister, message):
    assert str(unknown("colour", name, known, lister)) == message
