"""AX-g: Winogender schemas as entailment, answered by the model that learned RTE. T5 scores nothing here."""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import balanced_rows, pronoun_scene
from glue_harness.suite.build import classify
from glue_harness.suite.superglue import flat, source

LABELS = ("entailment", "not_entailment")


def demo(random: Random, n: int) -> list[dict]:
    def pair(label: int) -> dict:
        referent = random.randrange(2)
        text, names, _ = pronoun_scene(random, referent)
        return {"premise": text, "hypothesis": f"{names[referent ^ label]} had lost it."}

    return balanced_rows(random, n, range(len(LABELS)), pair)


AXG = classify(
    "axg",
    prefix="rte",
    fields=("hypothesis", "premise"),
    read=("premise", "hypothesis"),
    labels=LABELS,
    source=source("axg", "AX-g", flat("premise", "hypothesis", labels=LABELS), hidden=(), test=356),
    metrics=(),
    splits={"test": "test"},
    answered_by="superglue_rte",
    submission=Submission("AX-g.jsonl", words=LABELS),
    demo=demo,
    title="AX-g",
    suite="superglue",
    part="extra",
    place=10,
    aliases=("super_glue_axg_v102", "super_glue/axg"),
)
