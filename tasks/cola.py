"""CoLA: is the sentence acceptable English?"""

from random import Random

from glue_harness.build import classify
from glue_harness.data.lexicon import ACTIONS, ADJECTIVES, NOUNS, PLACES, balanced_rows
from glue_harness.glue import source
from glue_harness.metrics import matthews
from glue_harness.task import Submission, tsv

SINGULAR = ("this", "one", "every")
PLURAL = ("these", "two", "many")


def demo(random: Random, n: int) -> list[dict]:
    """Subject and verb agree in number, or they do not."""

    def sentence(label: int) -> dict:
        plural = random.random() < 0.5
        subject = f"{random.choice(PLURAL if plural else SINGULAR)} {random.choice(ADJECTIVES)} {random.choice(NOUNS)}"
        verb = random.choice(("are", "were") if plural == bool(label) else ("is", "was"))
        action, place = random.choice(ACTIONS), random.choice(PLACES)
        return {"sentence": f"{subject}{'s' * plural} {verb} {action}ing in the {place} .".capitalize()}

    return balanced_rows(random, n, (0, 1), sentence)


COLA = classify(
    "cola",
    title="CoLA",
    suite="glue",
    place=1,
    fields=("sentence",),
    labels=("unacceptable", "acceptable"),
    metrics=(matthews,),
    source=source(
        "cola",
        "CoLA",
        files={
            "train": tsv("train.tsv", header=False, label=1, sentence=3),
            "validation": tsv("dev.tsv", header=False, label=1, sentence=3),
            "test": tsv("test.tsv", sentence="sentence"),
        },
        train=8_551,
        validation=1_043,
        test=1_063,
    ),
    submission=Submission("CoLA.tsv", words=(0, 1)),
    demo=demo,
    aliases=("glue_cola_v002", "glue/cola"),
)
