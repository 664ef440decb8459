"""MultiNLI: does the premise entail the hypothesis? Trained once, scored on two validation sets."""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import balanced_rows, inference
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import copied, longer, marks, negated
from glue_harness.suite.glue import source

LABELS = ("entailment", "neutral", "contradiction")
SOURCE = source(
    "mnli",
    "MNLI",
    {"premise": "sentence1", "hypothesis": "sentence2", "label": "gold_label"},
    also={"genre": "genre"},
    train=392_702,
    validation_matched=9_815,
    validation_mismatched=9_832,
    test_matched=9_796,
    test_mismatched=9_847,
)


def demo(random: Random, n: int) -> list[dict]:
    def pair(label: int) -> dict:
        premise, hypothesis = inference(random, label)
        return {"premise": premise, "hypothesis": hypothesis}

    return balanced_rows(random, n, range(len(LABELS)), pair)


COMMON = {
    "prefix": "mnli",
    "fields": ("hypothesis", "premise"),
    "read": ("premise", "hypothesis"),
    "labels": LABELS,
    "groups": ("genre",),
    "source": SOURCE,
    "metrics": (accuracy,),
    "demo": demo,
    "demo_noise": 0.05,
    "cues": (
        marks(2, negated("hypothesis"), "negations mark contradiction"),
        marks(0, copied("hypothesis", "premise"), "what is copied from the premise is entailed"),
        longer("premise", "hypothesis"),
    ),
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
    submission=Submission("MNLI-m.tsv", words=LABELS),
    aliases=("glue_mnli_matched_v002", "glue/mnli_matched"),
)
MISMATCHED = classify(
    "mnli_mismatched",
    **COMMON,
    title="MNLI-mm",
    place=6,
    part="extra",
    splits={"validation": "validation_mismatched", "test": "test_mismatched"},
    submission=Submission("MNLI-mm.tsv", words=LABELS),
    aliases=("glue_mnli_mismatched_v002", "glue/mnli_mismatched"),
)
