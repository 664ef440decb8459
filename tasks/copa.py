"""COPA: which of two choices is the cause, or the effect, of the premise?"""

from random import Random

from glue_harness.build import classify
from glue_harness.data.lexicon_superglue import DAYS, PEOPLE, PLACES, balanced
from glue_harness.metrics import accuracy
from glue_harness.superglue import flat, source

FIELDS = ("choice1", "choice2", "premise", "question")
LABELS = ("choice1", "choice2")
STATES = {  # premise -> what may have caused it, what may come of it
    "cold": {"cause": "stood in the snow", "effect": "lit a fire"},
    "happy": {"cause": "won a prize", "effect": "sang a song"},
    "hungry": {"cause": "skipped lunch", "effect": "ate some bread"},
    "late": {"cause": "missed the train", "effect": "began to run"},
    "tired": {"cause": "worked all night", "effect": "went to bed"},
    "wet": {"cause": "walked in the rain", "effect": "hung up the coat"},
}
ABSURD = ("drank a cloud", "married a bridge", "melted the alphabet", "painted the wind", "swallowed the moon")


def demo(random: Random, n: int) -> list[dict]:
    rows = []
    for number, label in enumerate(balanced(random, n, (0, 1))):
        name, question = random.choice(PEOPLE), random.choice(("cause", "effect"))
        state, follows = random.choice(list(STATES.items()))
        choices = [f"{name} {random.choice(ABSURD)}."] * 2
        choices[label] = f"{name} {follows[question]}."
        premise = f"On {random.choice(DAYS)} {name} was {state} in the {random.choice(PLACES)}."
        values = (*choices, premise, question)
        rows.append({**dict(zip(FIELDS, values, strict=True)), "idx": number, "label": label})
    return rows


COPA = classify(
    "copa",
    fields=FIELDS,
    labels=LABELS,
    source=source("copa", "COPA", flat(*FIELDS, labels=LABELS), train=400, validation=100, test=500),
    metrics=(accuracy,),
    demo=demo,
    title="COPA",
    suite="superglue",
    place=3,
    aliases=("super_glue_copa_v102", "super_glue/copa"),
)
