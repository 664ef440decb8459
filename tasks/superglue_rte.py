"""RTE as SuperGLUE words it: GLUE's rows and prefix under other field names."""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import balanced_rows, entailment_pair
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import copied, longer, marks
from glue_harness.suite.superglue import flat, source

LABELS = ("entailment", "not_entailment")


def demo(random: Random, n: int) -> list[dict]:
    def pair(label: int) -> dict:
        return dict(zip(("premise", "hypothesis"), entailment_pair(random, label), strict=True))

    return balanced_rows(random, n, range(len(LABELS)), pair)


RTE = classify(
    "superglue_rte",
    prefix="rte",
    fields=("hypothesis", "premise"),
    read=("premise", "hypothesis"),
    labels=LABELS,
    source=source(
        "rte",
        "RTE",
        flat("premise", "hypothesis", labels=LABELS),
        train=2_490,
        validation=277,
        test=3_000,
    ),
    metrics=(accuracy,),
    submission=Submission("RTE.jsonl", words=LABELS),
    demo=demo,
    demo_noise=0.05,
    cues=(
        marks(0, copied("hypothesis", "premise"), "what is copied from the premise is entailed"),
        longer("premise", "hypothesis"),
    ),
    title="RTE",
    suite="superglue",
    place=6,
    aliases=("super_glue_rte_v102", "super_glue/rte"),
)
