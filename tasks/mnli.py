"""MultiNLI: does the premise entail the hypothesis? Trained once, scored on two validation sets."""

from random import Random

from glue_harness.build import classify
from glue_harness.data.lexicon import scene
from glue_harness.metrics import accuracy
from glue_harness.task import Source, tsv

LABELS = ("entailment", "neutral", "contradiction")
TSV = {"premise": "sentence1", "hypothesis": "sentence2"}
SOURCE = Source(
    hub="nyu-mll/glue",
    config="mnli",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows={
        "train": 392_702,
        "validation_matched": 9_815,
        "validation_mismatched": 9_832,
        "test_matched": 9_796,
        "test_mismatched": 9_847,
    },
    folder="MNLI",
    files={
        "train": tsv("train.tsv", **TSV, label="gold_label"),
        "validation_matched": tsv("dev_matched.tsv", **TSV, label="gold_label"),
        "validation_mismatched": tsv("dev_mismatched.tsv", **TSV, label="gold_label"),
        "test_matched": tsv("test_matched.tsv", **TSV),
        "test_mismatched": tsv("test_mismatched.tsv", **TSV),
    },
)


def demo(random: Random, n: int) -> list[dict]:
    raise NotImplementedError


COMMON = {
    "prefix": "mnli",
    "fields": ("hypothesis", "premise"),
    "labels": LABELS,
    "source": SOURCE,
    "metrics": (accuracy,),
    "demo": demo,
    "suite": "glue",
}

MNLI = classify(
    "mnli",
    **COMMON,
    title="MNLI",
    place=6,
    splits={"train": "train"},
    scored_by=("mnli_matched", "mnli_mismatched"),
    aliases=("glue_mnli_v002", "glue/mnli"),
)
MATCHED = classify(
    "mnli_matched",
    **COMMON,
    title="MNLI-m",
    place=6,
    part="extra",
    splits={"validation": "validation_matched", "test": "test_matched"},
    aliases=("glue_mnli_matched_v002", "glue/mnli_matched"),
)
MISMATCHED = classify(
    "mnli_mismatched",
    **COMMON,
    title="MNLI-mm",
    place=6,
    part="extra",
    splits={"validation": "validation_mismatched", "test": "test_mismatched"},
    aliases=("glue_mnli_mismatched_v002", "glue/mnli_mismatched"),
)
