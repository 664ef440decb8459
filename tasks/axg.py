"""AX-g: Winogender schemas as entailment, answered by the model that learned RTE. T5 scores nothing here."""

from random import Random

from glue_harness.build import classify
from glue_harness.data.lexicon_superglue import balanced, pronoun_scene
from glue_harness.superglue import flat, source

LABELS = ("entailment", "not_entailment")


def demo(random: Random, n: int) -> list[dict]:
    rows = []
    for number, label in enumerate(balanced(random, n, (0, 1))):
        scene = pronoun_scene(random)
        name = scene.names[scene.referent if label == 0 else 1 - scene.referent]
        rows.append({"premise": scene.text, "hypothesis": f"{name} had lost it.", "idx": number, "label": label})
    return rows


AXG = classify(
    "axg",
    prefix="rte",
    fields=("hypothesis", "premise"),
    labels=LABELS,
    source=source("axg", "AX-g", flat("premise", "hypothesis", labels=LABELS), test=356),
    metrics=(),
    splits={"test": "test"},
    demo=demo,
    title="AX-g",
    suite="superglue",
    part="extra",
    place=10,
    aliases=("super_glue_axg_v102", "super_glue/axg"),
)
