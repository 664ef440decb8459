"""Words and scenes that only the SuperGLUE demo generators share: one cue decides a label, the rest is variety."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from glue_harness.data.lexicon import CONTRADICTION, DAYS, ENTAILMENT, NEUTRAL, PLACES, inference, words

WOMEN = words("Anna Clara Mara Nina Rosa Vera")
MEN = words("Adam Boris David Oscar Peter Simon")
NAMES = WOMEN + MEN
CITIES = words("Bergen Lisbon Oslo Porto Riga Turin")
THINGS = words("basket book coat hat lamp map")
QUALITIES = words("brown cheap fine heavy new small")


def entailment_pair(random: Random, label: int) -> tuple[str, str]:
    """A premise and a hypothesis that follows from it (0) or does not (1)."""
    relations = ((ENTAILMENT,), (NEUTRAL, CONTRADICTION))[label]
    return inference(random, random.choice(relations))


class Scene(NamedTuple):
    """A sentence about two people, one of whom a pronoun names."""

    text: str
    names: tuple[str, str]  # in the order of the text
    pronoun: str


def pronoun_scene(random: Random, referent: int, link: str = "because") -> Scene:
    """The pronoun's gender says which of the two names it means."""
    pair = [(random.choice(WOMEN), "she"), (random.choice(MEN), "he")]
    random.shuffle(pair)
    (first, _), (second, _) = pair
    pronoun = pair[referent][1]
    errand = f"{pronoun} had lost a {random.choice(QUALITIES)} {random.choice(THINGS)} ."
    text = f"On {random.choice(DAYS)} {first} met {second} in the {random.choice(PLACES)} {link} {errand}"
    return Scene(text, (first, second), pronoun)
