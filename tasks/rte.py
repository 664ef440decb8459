"""RTE: does the first sentence entail the second?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import balanced_rows, entailment_pair
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import copied, longer, marks
from glue_harness.suite.glue import source

LABELS = ("entailment", "not_entailment")


def demo(random: Random, n: int) -> list[dict]:
    def pair(label: int) -> dict:
        return dict(zip(("sentence1", "sentence2"), entailment_pair(random, label), strict=True))

    return balanced_rows(random, n, (0, 1), pair)


RTE = classify(
    "rte",
    title="RTE",
    suite="glue",
    place=8,
    fields=("sentence1", "sentence2"),
    labels=LABELS,
    metrics=(accuracy,),
    source=source(
        "rte",
        "RTE",
        {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"},
        train=2_490,
        validation=277,
        test=3_000,
    ),
    submission=Submission("RTE.tsv", words=LABELS),
    demo=demo,
    demo_noise=0.05,
    cues=(
        marks(0, copied("sentence2", "sentence1"), "what is copied from 'sentence1' is entailed"),
        longer("sentence1", "sentence2"),
    ),
    aliases=("glue_rte_v002", "glue/rte"),
)
