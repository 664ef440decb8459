"""AX-b: the broad-coverage diagnostics, answered by the model that learned RTE. T5 scores nothing here."""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import balanced_rows, entailment_pair
from glue_harness.suite.build import classify
from glue_harness.suite.superglue import flat, source

LABELS = ("entailment", "not_entailment")


def demo(random: Random, n: int) -> list[dict]:
    def pair(label: int) -> dict:
        return dict(zip(("sentence1", "sentence2"), entailment_pair(random, label), strict=True))

    return balanced_rows(random, n, range(len(LABELS)), pair)


AXB = classify(
    "axb",
    prefix="rte",
    fields={"hypothesis": "sentence2", "premise": "sentence1"},
    read=("sentence1", "sentence2"),
    labels=LABELS,
    source=source("axb", "AX-b", flat("sentence1", "sentence2", labels=LABELS), hidden=(), test=1_104),
    metrics=(),
    splits={"test": "test"},
    answered_by="superglue_rte",
    submission=Submission("AX-b.jsonl", words=LABELS),
    demo=demo,
    title="AX-b",
    suite="superglue",
    part="extra",
    place=9,
    aliases=("super_glue_axb_v102", "super_glue/axb"),
)
