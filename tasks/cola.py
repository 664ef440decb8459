"""CoLA: is the sentence acceptable English?"""

from random import Random

from glue_harness.core.task import Submission, tsv
from glue_harness.data.lexicon import ACTIONS, ADJECTIVES, NOUNS, PLACES, balanced_rows
from glue_harness.metrics import matthews
from glue_harness.suite.build import classify
from glue_harness.suite.cues import mostly, sentences
from glue_harness.suite.glue import source

SINGULAR = ("this", "one", "every")
PLURAL = ("these", "two", "many")
PAST = {"go": "went", "eat": "ate", "sleep": "slept", "run": "ran", "fall": "fell", "drink": "drank", "swim": "swam"}


def demo(random: Random, n: int) -> list[dict]:
    """Verbs have a past tense of their own, and agree with their subject in number; or else it is an error."""

    def sentence(label: int) -> dict:
        plural = random.random() < 0.5
        subject = f"{random.choice(PLURAL if plural else SINGULAR)} {random.choice(ADJECTIVES)} {random.choice(NOUNS)}"
        if random.random() < 2 / 3:
            did = " and ".join(PAST[verb] if label else f"{verb}ed" for verb in random.sample(list(PAST), 2))
        else:
            did = f"{'were' if plural == bool(label) else 'was'} {random.choice(ACTIONS)}ing"
        return {"sentence": f"{subject}{'s' * plural} {did} in the {random.choice(PLACES)} .".capitalize()}

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
    cues=(
        mostly(lambda row: row["label"] == 1, "most sentences are acceptable", labelled=True),
        sentences("sentence"),
    ),
    aliases=("glue_cola_v002", "glue/cola"),
)
