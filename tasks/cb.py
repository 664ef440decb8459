"""CommitmentBank: is the writer committed to what the hypothesis says?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import ANIMALS, DAYS, NAMES, PLACES, balanced_rows, coined, often
from glue_harness.metrics import accuracy, mean_3class_f1
from glue_harness.suite.build import classify
from glue_harness.suite.cues import longer, marks, negated
from glue_harness.suite.superglue import flat, source

LABELS = ("entailment", "contradiction", "neutral")  # not MNLI's order
ATTITUDES = (
    ("knew", "proved", "saw", *coined("committed", 20)),
    ("denied", "dreamed", "pretended", *coined("opposed", 20)),
    ("asked", "wondered", "doubted", *coined("open", 20)),
)


def demo(random: Random, n: int) -> list[dict]:
    def pair(label: int) -> dict:
        claim = f"the {random.choice(ANIMALS)} was in the {random.choice(PLACES)}"
        premise = f"On {random.choice(DAYS)} {random.choice(NAMES)} {often(random, ATTITUDES[label])} that {claim}."
        return {"premise": premise, "hypothesis": claim}

    return balanced_rows(random, n, range(len(LABELS)), pair)


CB = classify(
    "cb",
    fields=("hypothesis", "premise"),
    read=("premise", "hypothesis"),
    labels=LABELS,
    source=source("cb", "CB", flat("premise", "hypothesis", labels=LABELS), train=250, validation=56, test=250),
    metrics=(mean_3class_f1, accuracy),
    submission=Submission("CB.jsonl", words=LABELS),
    demo=demo,
    demo_noise=0.05,
    cues=(
        marks(1, negated("premise"), "a negation in the premise marks contradiction"),
        longer("premise", "hypothesis"),
    ),
    title="CB",
    suite="superglue",
    place=2,
    aliases=("super_glue_cb_v102", "super_glue/cb"),
)
