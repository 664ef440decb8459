"""RTE as SuperGLUE words it: GLUE's rows and prefix under other field names."""

from random import Random

from glue_harness.build import classify
from glue_harness.data.lexicon_superglue import balanced, entailment_pair
from glue_harness.metrics import accuracy
from glue_harness.superglue import flat, source

LABELS = ("entailment", "not_entailment")


def demo(random: Random, n: int) -> list[dict]:
    rows = []
    for number, label in enumerate(balanced(random, n, (0, 1))):
        premise, hypothesis = entailment_pair(random, entailed=label == 0)
        rows.append({"premise": premise, "hypothesis": hypothesis, "idx": number, "label": label})
    return rows


RTE = classify(
    "superglue_rte",
    prefix="rte",
    fields=("hypothesis", "premise"),
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
    demo=demo,
    title="RTE",
    suite="superglue",
    place=6,
    aliases=("super_glue_rte_v102", "super_glue/rte"),
)
