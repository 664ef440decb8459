"""MRPC: do two sentences from the news say the same?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import ADJECTIVES, DAYS, PEOPLE, PLACES, balanced_rows
from glue_harness.metrics import accuracy, f1
from glue_harness.suite.build import classify
from glue_harness.suite.cues import marks, shared
from glue_harness.suite.glue import source

SYNONYMS = {"bought": "purchased", "opened": "started", "closed": "shut", "repaired": "fixed", "built": "constructed"}
DENIALS = ("never", "almost", "nearly")


def demo(random: Random, n: int) -> list[dict]:
    """The second sentence says the first in other words and order, or takes it back."""

    def pair(label: int) -> dict:
        who = f"{random.choice(ADJECTIVES)} {random.choice(PEOPLE)}"
        verb, synonym = random.choice(list(SYNONYMS.items()))
        what, day = random.choice(PLACES), random.choice(DAYS)
        first = f"The {who} {verb} a {what} on {day} ."
        denied = f"The {who} {random.choice(DENIALS)} {verb} a {what} ."
        same = random.choice((f"The {who} {synonym} a {what} .", f"On {day} the {who} {synonym} a {what} ."))
        return {"sentence1": first, "sentence2": same if label else denied}

    return balanced_rows(random, n, (0, 1), pair)


MRPC = classify(
    "mrpc",
    title="MRPC",
    suite="glue",
    place=3,
    fields=("sentence1", "sentence2"),
    labels=("not_equivalent", "equivalent"),
    metrics=(f1, accuracy),
    source=source(
        "mrpc",
        "MRPC",
        {"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"},
        train=3_668,
        validation=408,
        test=1_725,
    ),
    submission=Submission("MRPC.tsv", words=(0, 1)),
    demo=demo,
    cues=(marks(1, shared("sentence1", "sentence2"), "equivalent sentences share words"),),
    aliases=("glue_mrpc_v002", "glue/mrpc"),
)
