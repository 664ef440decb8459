"""COPA: which of two choices is the cause, or the effect, of the premise?"""

from random import Random

from glue_harness.core.errors import RowError
from glue_harness.core.task import Example, Pair, Submission, View
from glue_harness.data.lexicon import DAYS, NAMES, PLACES, balanced_rows
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify, text_of
from glue_harness.suite.superglue import flat, source

FIELDS = ("choice1", "choice2", "premise", "question")
LABELS = ("choice1", "choice2")
QUESTIONS = ("cause", "effect")
ASKED = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}
STATES = {  # what may come before and after each
    "cold": ("stood in the snow", "lit a fire"),
    "happy": ("won a prize", "sang a song"),
    "hungry": ("skipped lunch", "ate some bread"),
    "late": ("missed the train", "began to run"),
    "tired": ("worked all night", "went to bed"),
    "wet": ("walked in the rain", "hung up the coat"),
}


def demo(random: Random, n: int) -> list[dict]:
    """Mostly the first choice comes before the premise and the second after it, so that the question decides."""

    def alternative(label: int) -> dict:
        name, (state, events) = random.choice(NAMES), random.choice(list(STATES.items()))
        premise = f"On {random.choice(DAYS)} {name} was {state} in the {random.choice(PLACES)}."
        turned = random.random() < 1 / 6
        first, second = reversed(events) if turned else events
        values = f"{name} {first}.", f"{name} {second}.", premise, QUESTIONS[label ^ turned]
        return dict(zip(FIELDS, values, strict=True))

    return balanced_rows(random, n, range(len(LABELS)), alternative)


def pairs(example: Example) -> list[Pair]:
    """The premise with the question behind it, beside each choice."""
    question = text_of(example.fields, "question")
    if question not in ASKED:
        raise RowError(f"column 'question' must be {' or '.join(ASKED)}, not {question!r}")
    asked = f"{text_of(example.fields, 'premise')} {ASKED[question]}"
    return [Pair(asked, text_of(example.fields, label)) for label in LABELS]


COPA = classify(
    "copa",
    fields=FIELDS,
    read=View("choice", pairs),
    labels=LABELS,
    source=source("copa", "COPA", flat(*FIELDS, labels=LABELS), train=400, validation=100, test=500),
    metrics=(accuracy,),
    submission=Submission("COPA.jsonl", words=(0, 1)),
    demo=demo,
    demo_noise=0.05,
    title="COPA",
    suite="superglue",
    place=3,
    aliases=("super_glue_copa_v102", "super_glue/copa"),
)
