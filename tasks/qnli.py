"""QNLI: does the sentence contain the answer to the question?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import (
    ACTIONS,
    ADJECTIVES,
    DAYS,
    PEOPLE,
    PLACES,
    aside,
    balanced_rows,
    coined,
    often,
    words,
)
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import asks, copied, longer, marks
from glue_harness.suite.glue import source

LABELS = ("entailment", "not_entailment")
ANSWERS = {  # question word -> what a sentence answers with
    "Where": PLACES + coined("place", 30),
    "When": DAYS + coined("day", 30),
    "How": words("haste silence anger secret style") + coined("manner", 30),
}
NO_ANSWER = words("Greek error fear vain debt") + coined("no answer", 40)


def demo(random: Random, n: int) -> list[dict]:
    """The sentence says where, when or how; or it says nothing of the kind, or one time in six another kind."""

    def pair(label: int) -> dict:
        asked, other = random.sample(list(ANSWERS), 2)
        kind = ANSWERS[asked]
        if label:
            kind = ANSWERS[other] if random.random() < 1 / 6 else NO_ANSWER
        who, action = f"{random.choice(ADJECTIVES)} {random.choice(PEOPLE)}", random.choice(ACTIONS)
        sentence = f"The {who} {action}ed in {often(random, kind)}."
        if random.random() < 1 / 4:
            sentence = f"{aside(random)} {sentence}"
        return {"question": f"{asked} did the {who} {action}?", "sentence": sentence}

    return balanced_rows(random, n, (0, 1), pair)


QNLI = classify(
    "qnli",
    title="QNLI",
    suite="glue",
    place=7,
    fields=("question", "sentence"),
    labels=LABELS,
    metrics=(accuracy,),
    source=source(
        "qnli",
        "QNLI",
        {"question": "question", "sentence": "sentence", "label": "label"},
        train=104_743,
        validation=5_463,
        test=5_463,
    ),
    submission=Submission("QNLI.tsv", words=LABELS),
    demo=demo,
    demo_noise=0.04,
    cues=(
        marks(0, copied("question", "sentence"), "a sentence with the question's words answers it"),
        asks("question"),
        longer("sentence", "question"),
    ),
    aliases=("glue_qnli_v002", "glue/qnli"),
)
