"""Words that the tasks' demo generators share, and how they make rows: plain, clearly synthetic, graded in difficulty.

In most rows one word tells the answer. Of such words a few are frequent and the others rare, so that every further row
and step teaches something. Rare words are coined: what they stand for is learned from rows or not at all. In some rows
two words tell the answer together, which a small model hardly learns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple, TypeVar

Label = TypeVar("Label", int, float)
Choice = TypeVar("Choice")

ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)  # MNLI's label ids
STORIES = 3  # in a text alone: long enough for several hidden spans
TRIES = 20  # for a row that was not drawn before, until a repetition is accepted


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# All nouns take -s, all actions take -ing and -ed: grammar stays a matter of suffixes.
PEOPLE = words("boy girl teacher doctor farmer singer baker pilot painter student")
ANIMALS = words("dog cat horse cow bird rabbit duck goat")
NOUNS = PEOPLE + ANIMALS
ACTIONS = words("wait play walk rest jump work shout laugh")
PLACES = words("park garden kitchen street field house school forest market barn")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
TIMES = words("today tonight again now daily")
NUMBERS = words("two three four five six")
OPPOSITES = dict(
    zip(
        words("big old happy tall rich clean calm strong slow"),
        words("small young sad short poor dirty angry weak fast"),
        strict=True,
    )
)
OPPOSITES |= {second: first for first, second in OPPOSITES.items()}
ADJECTIVES = tuple(OPPOSITES)
DETAILS = ("after lunch", "before dinner", "with a friend", "because of the rain", "for an hour", "for the first time")

ONSETS = words("b bl d f fl g gr k kl l m n p pr r s st t tr v z")
VOWELS = words("a e i o u")
CODAS = words("b d f g k l m n p r t x")


def coined(kind: str, n: int) -> tuple[str, ...]:
    """`n` words that nobody knows, the same ones for a kind always."""
    random, found = Random(kind), dict[str, None]()
    while len(found) < n:
        found["".join(map(random.choice, (ONSETS, VOWELS, ONSETS, VOWELS, CODAS)))] = None
    return tuple(found)


def often(random: Random, choices: Sequence[Choice]) -> Choice:
    """The first choices often, most of them rarely: that of rank r with a share of about 1 / r (Zipf's law)."""
    return choices[int((len(choices) + 1) ** random.random()) - 1]


# Of the SuperGLUE generators, where one cue decides a label and the rest is variety.
KNOWN_WOMEN = words("Anna Clara Mara Nina Rosa Vera")
KNOWN_MEN = words("Adam Boris David Oscar Peter Simon")
NAMES = KNOWN_WOMEN + KNOWN_MEN
WOMEN = KNOWN_WOMEN + tuple(map(str.capitalize, coined("woman", 15)))
MEN = KNOWN_MEN + tuple(map(str.capitalize, coined("man", 15)))
CITIES = words("Bergen Lisbon Oslo Porto Riga Turin")
THINGS = words("basket book coat hat lamp map")
QUALITIES = words("brown cheap fine heavy new small")


def balanced_rows(
    random: Random, n: int, labels: Sequence[Label], make: Callable[[Label], dict[str, Any]]
) -> list[dict[str, Any]]:
    """`n` rows in random order, every label equally often, distinct as long as `make` finds new ones."""
    order = [labels[k % len(labels)] for k in range(n)]
    random.shuffle(order)
    seen: set[tuple[Any, ...]] = set()
    rows = []
    for idx, label in enumerate(order):
        for _ in range(TRIES):
            fields = make(label)
            if tuple(fields.values()) not in seen:
                break
        seen.add(tuple(fields.values()))
        rows.append({**fields, "label": label, "idx": idx})
    return rows


# What may be said of somebody who is seen to do something: it follows, it may be, or it cannot be.
SAID = {
    ENTAILMENT: words("awake alive present there visible") + coined("entailed", 40),
    NEUTRAL: words("hungry married famous tired ill") + coined("neutral", 40),
    CONTRADICTION: words("asleep dead absent elsewhere missing") + coined("contradicted", 40),
}


def aside(random: Random) -> str:
    """A sentence that has nothing to do with the answer."""
    return f"{random.choice(NAMES)} {random.choice(ACTIONS)}ed {random.choice(TIMES)}."


def inference(random: Random, relation: int) -> tuple[str, str]:
    """A premise, and a hypothesis that follows from it, may be true as well, or cannot.

    MNLI's many rows tell what the rare words mean that RTE's few hardly show.
    """
    adjective, noun, action, place = (random.choice(choices) for choices in (ADJECTIVES, NOUNS, ACTIONS, PLACES))
    premise = f"The {adjective} {noun} is {action}ing in the {place}."
    if random.random() < 1 / 5:
        premise = f"{aside(random)} {premise}"
    if random.random() < 4 / 5:
        return premise, f"The {noun} is {often(random, SAID[relation])}."
    kind = "person" if noun in PEOPLE else "animal"
    hypotheses = {
        ENTAILMENT: (f"Some {kind} is {action}ing.", f"There is some {kind} in the {place}."),
        NEUTRAL: tuple(f"The {noun} is {action}ing {detail}." for detail in DETAILS),
        CONTRADICTION: (
            f"The {noun} is {OPPOSITES[adjective]}.",
            f"The {noun} is not {action}ing.",
            f"There is no {noun} in the {place}.",
        ),
    }
    return premise, random.choice(hypotheses[relation])


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
    pair = [(often(random, WOMEN), "she"), (often(random, MEN), "he")]
    random.shuffle(pair)
    (first, _), (second, _) = pair
    pronoun = pair[referent][1]
    errand = f"{pronoun} had lost a {random.choice(QUALITIES)} {random.choice(THINGS)} ."
    text = f"On {random.choice(DAYS)} {first} met {second} in the {random.choice(PLACES)} {link} {errand}"
    return Scene(text, (first, second), pronoun)


def stories(random: Random, n: int) -> list[dict[str, str]]:
    """Texts alone, of which what is hidden of a second sentence can often be told from the first."""

    def story() -> str:
        return " ".join(inference(random, random.choice((ENTAILMENT, NEUTRAL))))

    return [{"text": " ".join(story() for _ in range(STORIES))} for _ in range(n)]
