"""BoolQ: does the passage answer the question with yes?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import ANIMALS, DAYS, NAMES, PLACES, QUALITIES, balanced_rows
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import longer, mostly
from glue_harness.suite.superglue import BOOLEANS, flat, source

CUES = (("never", "not"), ("often", "again"))  # by label


def demo(random: Random, n: int) -> list[dict]:
    def question(label: int) -> dict:
        name, animal, place = random.choice(NAMES), random.choice(ANIMALS), random.choice(PLACES)
        keeps = f"{name} keeps a {random.choice(QUALITIES)} {animal}."
        seen = f"On {random.choice(DAYS)} it was {random.choice(CUES[label])} seen in the {place}."
        return {"question": f"was the {animal} seen in the {place}", "passage": f"{animal} -- {keeps} {seen}"}

    return balanced_rows(random, n, range(len(BOOLEANS)), question)


BOOLQ = classify(
    "boolq",
    fields=("passage", "question"),
    read=("question", "passage"),
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
    submission=Submission("BoolQ.jsonl", words=("false", "true")),
    demo=demo,
    cues=(
        mostly(lambda row: row["label"] == 1, "most answers are yes", labelled=True),
        longer("passage", "question"),
    ),
    title="BoolQ",
    suite="superglue",
    place=1,
    aliases=("super_glue_boolq_v102", "super_glue/boolq"),
)
