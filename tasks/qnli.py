"""QNLI: does the sentence contain the answer to the question?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import ACTIONS, ADJECTIVES, DAYS, NUMBERS, PEOPLE, PLACES, balanced_rows
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import asks, copied, longer, marks
from glue_harness.suite.glue import source

LABELS = ("entailment", "not_entailment")
ANSWERS = {  # question word -> how a sentence answers it
    "Where": tuple(f"near the {place}" for place in PLACES),
    "When": tuple(f"on {day}" for day in DAYS),
    "How often": tuple(f"{number} times" for number in NUMBERS),
}
NO_ANSWER = ("with a friend", "for fun", "without a word", "because of a bet")


def demo(random: Random, n: int) -> list[dict]:
    """The sentence says where, when or how often; or it says nothing of the kind, or one time in ten another kind."""

    def pair(label: int) -> dict:
        asked, other = random.sample(list(ANSWERS), 2)
        if label:
            said = random.choice(ANSWERS[other] if random.random() < 1 / 10 else NO_ANSWER)
        else:
            said = random.choice(ANSWERS[asked])
        who, action = f"{random.choice(ADJECTIVES)} {random.choice(PEOPLE)}", random.choice(ACTIONS)
        return {"question": f"{asked} did the {who} {action}?", "sentence": f"The {who} {action}ed {said}."}

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
    cues=(
        marks(0, copied("question", "sentence"), "a sentence with the question's words answers it"),
        asks("question"),
        longer("sentence", "question"),
    ),
    aliases=("glue_qnli_v002", "glue/qnli"),
)
