"""STS-B: how similar are two sentences, from 0 to 5? T5 writes the number, rounded to fifths."""

import struct
from random import Random

from glue_harness.core.errors import RowError
from glue_harness.core.task import Submission
from glue_harness.data.lexicon import ACTIONS, ADJECTIVES, NOUNS, PLACES, TIMES, balanced_rows
from glue_harness.metrics import pearson, spearman
from glue_harness.suite.build import regress
from glue_harness.suite.cues import grows, mostly, sentences, shared
from glue_harness.suite.glue import source

FIFTHS = tuple(f"{k / 5:.1f}" for k in range(26))
HIDDEN_SCORE = -1
CONTENT = (ADJECTIVES, NOUNS, ACTIONS, PLACES, TIMES)
# What a sentence says instead of each content word that it does not share.
VAGUE = (("certain",), ("someone", "something"), ("busy",), ("somewhere",), ("sometime",))


def write_score(score: float) -> str:
    """The nearest fifth, half to even, computed in 32 bits as T5 does: 0.1 is `0.0`, not `0.2`."""
    if score != HIDDEN_SCORE and not 0 <= score <= 5:
        raise RowError(f"label {score!r} is not allowed: 0 to 5, -1=hidden")
    return f"{round(float32(float32(score) * 5)) / 5:.1f}"


def float32(number: float) -> float:
    return struct.unpack("f", struct.pack("f", number))[0]


def demo(random: Random, n: int) -> list[dict]:
    """The score is the number of content words that both sentences have; the others turn vague, or into others."""

    def pair(score: float) -> dict:
        full, others = zip(*(random.sample(choices, 2) for choices in CONTENT), strict=True)
        if random.random() < 7 / 8:
            others = tuple(map(random.choice, VAGUE))
        shared = random.sample(range(5), int(score))
        partly = [full[k] if k in shared else others[k] for k in range(5)]
        return {"sentence1": sentence(*full), "sentence2": sentence(*partly)}

    return balanced_rows(random, n, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0), pair)


def sentence(adjective: str, noun: str, action: str, place: str, time: str) -> str:
    verb = action if action == "busy" else f"{action}ing"
    where = place if place == "somewhere" else f"in the {place}"
    return f"The {adjective} {noun} is {verb} {where} {time} ."


STSB = regress(
    "stsb",
    title="STS-B",
    suite="glue",
    place=4,
    fields=("sentence1", "sentence2"),
    write=write_score,
    choices=FIFTHS,
    metrics=(pearson, spearman),
    source=source(
        "stsb",
        "STS-B",
        {"sentence1": "sentence1", "sentence2": "sentence2", "label": "score"},
        train=5_749,
        validation=1_500,
        test=1_379,
    ),
    submission=Submission("STS-B.tsv"),
    demo=demo,
    demo_noise=0.06,
    cues=(
        grows(shared("sentence1", "sentence2"), "similar sentences share words"),
        mostly(lambda row: row["label"] > 1, "most scores are above 1", labelled=True),
        sentences("sentence1", "sentence2"),
        mostly(lambda row: "?" not in row["sentence1"], "'sentence1' is mostly no question"),
    ),
    aliases=("glue_stsb_v002", "glue/stsb"),
)
