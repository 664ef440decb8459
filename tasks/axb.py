"""AX-b: the broad-coverage diagnostics, answered by the model that learned RTE. T5 scores nothing here."""

from random import Random

from glue_harness.build import classify
from glue_harness.data.lexicon_superglue import balanced, entailment_pair
from glue_harness.superglue import flat, source

LABELS = ("entailment", "not_entailment")


def demo(random: Random, n: int) -> list[dict]:
    rows = []
    for number, label in enumerate(balanced(random, n, (0, 1))):
        premise, hypothesis = entailment_pair(random, entailed=label == 0)
        rows.append({"sentence1": premise, "sentence2": hypothesis, "idx": number, "label": label})
    return rows


AXB = classify(
    "axb",
    prefix="rte",
    fields={"hypothesis": "sentence2", "premise": "sentence1"},
    labels=LABELS,
    source=source("axb", "AX-b", flat("sentence1", "sentence2", labels=LABELS), test=1_104),
    metrics=(),
    splits={"test": "test"},
    demo=demo,
    title="AX-b",
    suite="superglue",
    part="extra",
    place=9,
    aliases=("super_glue_axb_v102", "super_glue/axb"),
)
