"""BoolQ: does the passage answer the question with yes?"""

from random import Random

from glue_harness.build import classify
from glue_harness.data.lexicon_superglue import ANIMALS, DAYS, PEOPLE, PLACES, QUALITIES, balanced
from glue_harness.metrics import accuracy
from glue_harness.superglue import BOOLEANS, flat, source

CUES = (("never", "not"), ("often", "again"))  # by label


def demo(random: Random, n: int) -> list[dict]:
    rows = []
    for number, label in enumerate(balanced(random, n, (0, 1))):
        name, animal, place = random.choice(PEOPLE), random.choice(ANIMALS), random.choice(PLACES)
        keeps = f"{name} keeps a {random.choice(QUALITIES)} {animal}."
        seen = f"On {random.choice(DAYS)} it was {random.choice(CUES[label])} seen in the {place}."
        question = f"was the {animal} seen in the {place}"
        rows.append({"question": question, "passage": f"{animal} -- {keeps} {seen}", "idx": number, "label": label})
    return rows


BOOLQ = classify(
    "boolq",
    fields=("passage", "question"),
    labels=BOOLEANS,
    source=source(
        "boolq",
        "BoolQ",
        flat("question", "passage", labels=BOOLEANS),
        train=9_427,
        validation=3_270,
        test=3_245,
    ),
    metrics=(accuracy,),
    demo=demo,
    title="BoolQ",
    suite="superglue",
    place=1,
    aliases=("super_glue_boolq_v102", "super_glue/boolq"),
)
