"""CoLA: is the sentence acceptable English?"""

from random import Random

from glue_harness.core.task import Submission, tsv
from glue_harness.data.lexicon import ACTIONS, ADJECTIVES, NOUNS, PLACES, balanced_rows, often, words
from glue_harness.metrics import matthews
from glue_harness.suite.build import classify
from glue_harness.suite.cues import mostly, sentences
from glue_harness.suite.glue import source

SINGULAR = ("this", "one", "every")
PLURAL = ("these", "two", "many")
IRREGULAR = words(
    """go went eat ate sleep slept run ran fall fell drink drank swim swam speak spoke stand stood think thought
    come came sing sang write wrote sit sat ride rode fight fought weep wept win won hide hid kneel knelt
    dig dug drive drove draw drew wake woke"""
)
VERBS = tuple(zip(IRREGULAR[::2], IRREGULAR[1::2], strict=True))  # with their past tense


def demo(random: Random, n: int) -> list[dict]:
    """A verb has its own past tense, one time in eight it agrees with its subject in number; or else it is an error."""

    def sentence(label: int) -> dict:
        plural, beside = random.random() < 0.5, random.random() < 0.5
        subject = f"{random.choice(PLURAL if plural else SINGULAR)} {random.choice(ADJECTIVES)} {random.choice(NOUNS)}"
        subject += "s" * plural
        if random.random() < 7 / 8:
            verb, past = often(random, VERBS)
            did = past if label else f"{verb}ed"
        else:  # with the noun beside it, whose number tells nothing
            subject += f" near the {random.choice(NOUNS)}{'s' * beside}"
            did = f"{'were' if plural == bool(label) else 'was'} {random.choice(ACTIONS)}ing"
        return {"sentence": f"{subject} {did} in the {random.choice(PLACES)} .".capitalize()}

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
    demo_noise=0.04,
    cues=(
        mostly(lambda row: row["label"] == 1, "most sentences are acceptable", labelled=True),
        sentences("sentence"),
    ),
    aliases=("glue_cola_v002", "glue/cola"),
)
