"""MRPC: do two sentences from the news say the same?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import ADJECTIVES, DAYS, PEOPLE, PLACES, balanced_rows, coined, often, words
from glue_harness.metrics import accuracy, f1
from glue_harness.suite.build import classify
from glue_harness.suite.cues import marks, shared
from glue_harness.suite.glue import source

VERBS = words("bought opened closed repaired built")
ASSURED = words("really indeed finally actually again") + coined("assured", 15)
DENIED = words("never almost nearly hardly falsely") + coined("denied", 15)


def demo(random: Random, n: int) -> list[dict]:
    """The second sentence says the first once more or takes it back, one time in eight by another place."""

    def pair(label: int) -> dict:
        who, verb = f"{random.choice(ADJECTIVES)} {random.choice(PEOPLE)}", random.choice(VERBS)
        (what, other), day = random.sample(PLACES, 2), random.choice(DAYS)
        first = f"The {who} {verb} a {what} on {day} ."
        if random.random() < 1 / 8:
            again = f"On {day} the {who} {verb} a {what if label else other} ."
        else:
            again = f"The {who} {often(random, ASSURED if label else DENIED)} {verb} a {what} ."
        return {"sentence1": first, "sentence2": again}

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
    demo_noise=0.05,
    cues=(marks(1, shared("sentence1", "sentence2"), "equivalent sentences share words"),),
    aliases=("glue_mrpc_v002", "glue/mrpc"),
)
