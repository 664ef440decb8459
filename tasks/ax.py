"""AX, GLUE's diagnostic sentences: answered by a model of MNLI, scored on the official server only."""

from random import Random

from glue_harness.core.task import Submission, tsv
from glue_harness.data.lexicon import balanced_rows, inference
from glue_harness.suite.build import classify
from glue_harness.suite.glue import source

LABELS = ("entailment", "neutral", "contradiction")
COLUMNS = {"premise": "sentence1", "hypothesis": "sentence2"}


def demo(random: Random, n: int) -> list[dict]:
    def pair(label: int) -> dict:
        premise, hypothesis = inference(random, label)
        return {"premise": premise, "hypothesis": hypothesis}

    return balanced_rows(random, n, range(len(LABELS)), pair)


AX = classify(
    "ax",
    title="AX",
    suite="glue",
    part="extra",
    place=10,
    prefix="mnli",
    fields=("hypothesis", "premise"),
    read=("premise", "hypothesis"),
    labels=LABELS,
    metrics=(),
    splits={"test": "test"},
    source=source(
        "ax",
        ".",  # its own folder goes by two names
        files={"test": tsv("AX/test.tsv", "AX/AX.tsv", "diagnostic/diagnostic.tsv", **COLUMNS)},
        test=1_104,
    ),
    answered_by="mnli",
    submission=Submission("AX.tsv", words=LABELS),
    demo=demo,
    aliases=("glue_ax_v002", "glue/ax"),
)
