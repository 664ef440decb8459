"""Cues: what they measure in a row, and how strongly rows speak for them."""

import pytest

from glue_harness.suite.cues import agreement, asks, copied, grows, longer, majority, marks, negated, sentences, shared

ROWS = [{"a": "it is not so here", "b": "not so", "label": 0}, {"a": "it is so", "b": "dogs bark", "label": 1}]


def test_cues_measure_what_they_say():
    assert [negated("a")(row) for row in ROWS] == [True, False]
    assert [copied("b", "a")(row) for row in ROWS] == [1, 0]
    assert [shared("a", "b")(row) for row in ROWS] == [2 / 5, 0]
    assert shared("a", "b", letters=4)({"a": "many long words", "b": "many words"}) == 2 / 3
    assert longer("a", "b").strength(ROWS) == 0
    assert marks(0, negated("a"), "no marks 0").strength(ROWS) == pytest.approx(2**0.5)
    assert marks(1, negated("a"), "no marks 1").strength(ROWS) == pytest.approx(-(2**0.5))


def test_strengths_are_in_standard_errors():
    rows = [{"label": k % 2} for k in range(100)]
    assert majority(rows, lambda row: True) == 10
    assert majority(rows, lambda row: row["label"]) == 0
    assert agreement(rows, lambda row: 1.0, lambda row: row["label"]) == 0


def test_a_cue_says_which_columns_it_reads():
    assert asks("question").says == "'question' is mostly a question"
    assert sentences("a", "b").says == "'a' and 'b': mostly several words"
    assert asks("b").strength([{"b": "why?"}] * 4) == 2
    assert sentences("a", "b").strength([{"a": "two words", "b": "one"}] * 4) == -2
    assert grows(lambda row: row["x"], "x grows").strength(
        [{"x": x, "label": x} for x in (1, 2, 3, 4)]
    ) == pytest.approx(2)
