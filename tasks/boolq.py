"""BoolQ: does the passage answer the question with yes?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import (
    ANIMALS,
    DAYS,
    NAMES,
    PLACES,
    QUALITIES,
    aside,
    balanced_rows,
    coined,
    often,
    words,
)
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import longer, mostly
from glue_harness.suite.superglue import BOOLEANS, flat, source

CUES = (words("never not hardly") + coined("unseen", 20), words("often again twice") + coined("seen", 20))  # by label


def demo(random: Random, n: int) -> list[dict]:
    """One time in eight it is another animal that is seen, or not."""

    def question(label: int) -> dict:
        (animal, other), place = random.sample(ANIMALS, 2), random.choice(PLACES)
        keeps = f"{random.choice(NAMES)} keeps a {random.choice(QUALITIES)} {animal}."
        on, adverb = f"On {random.choice(DAYS)}", often(random, CUES[label])
        seen = f"{on} it was {adverb} seen in the {place}."
        if random.random() < 1 / 8:
            seen = f"It was {adverb} seen in the {place}. {on} a {other} was {often(random, CUES[1 - label])} there."
        passage = f"{animal} -- {keeps} {aside(random)} {seen}"
        return {"question": f"was the {animal} seen in the {place}", "passage": passage}

    return balanced_rows(random, n, range(len(BOOLEANS)), question)


BOOLQ = classify(
    "boolq",
    fields=("passage", "question"),
    read=("question", "passage"),
    labels=BOOLEANS,
    source=source(
        "boolq",
        "BoolQ",
        flat("question", "passage", labels=BOOLEANS),
        train=9_427,
        validation=3_270,
        test=3_245,
    ),
    metrics=(accuracy,),
    submission=Submission("BoolQ.jsonl", words=("false", "true")),
    demo=demo,
    demo_noise=0.05,
    cues=(
        mostly(lambda row: row["label"] == 1, "most answers are yes", labelled=True),
        longer("passage", "question"),
    ),
    title="BoolQ",
    suite="superglue",
    place=1,
    aliases=("super_glue_boolq_v102", "super_glue/boolq"),
)
