"""Words and scenes of the SuperGLUE demo generators: one cue decides each label, the rest is variety."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

WOMEN = ("Anna", "Clara", "Mara", "Nina", "Rosa", "Vera")
MEN = ("Adam", "Boris", "David", "Oscar", "Peter", "Simon")
PEOPLE = WOMEN + MEN
ANIMALS = ("cat", "dog", "duck", "goat", "horse", "sheep")
THINGS = ("basket", "book", "coat", "hat", "lamp", "map")
QUALITIES = ("brown", "fine", "heavy", "new", "old", "small")
PLACES = ("garden", "harbour", "market", "school", "station", "village")
CITIES = ("Bergen", "Lisbon", "Oslo", "Porto", "Riga", "Turin")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def balanced(random: Random, n: int, values: Sequence[int]) -> list[int]:
    """n values in random order, each as often as the others."""
    found = [values[k % len(values)] for k in range(n)]
    random.shuffle(found)
    return found


def entailment_pair(random: Random, entailed: bool) -> tuple[str, str]:
    """A premise and what does or does not follow from it: only the latter denies something."""
    name, place, thing = random.choice(PEOPLE), random.choice(PLACES), random.choice(THINGS)
    premise = f"On {random.choice(DAYS)} {name} went to the {place} and sold a {random.choice(QUALITIES)} {thing}."
    follows = (f"{name} sold a {thing}.", f"{name} went to the {place}.")
    denies = (f"{name} sold no {thing}.", f"{name} never went to the {place}.", f"Nobody sold a {thing}.")
    return premise, random.choice(follows if entailed else denies)


class Scene(NamedTuple):
    """A sentence about a woman and a man, one of whom a pronoun names."""

    text: str
    names: tuple[str, str]  # in the order of the text
    pronoun: str
    referent: int  # which of the names


def pronoun_scene(random: Random) -> Scene:
    """The pronoun's gender says whom it means."""
    pair = [(random.choice(WOMEN), "she"), (random.choice(MEN), "he")]
    random.shuffle(pair)
    (first, _), (second, _) = pair
    referent = random.randrange(2)
    pronoun = pair[referent][1]
    errand = f"because {pronoun} had lost a {random.choice(QUALITIES)} {random.choice(THINGS)} ."
    text = f"On {random.choice(DAYS)} {first} met {second} in the {random.choice(PLACES)} {errand}"
    return Scene(text, (first, second), pronoun, referent)
