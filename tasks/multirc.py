"""MultiRC: is this one of the right answers to the question about the paragraph?"""

import re
from collections.abc import Iterable
from random import Random

from glue_harness.core.task import Example, Pair, Row, Submission, View
from glue_harness.data.lexicon import DAYS, NAMES, PLACES, QUALITIES, THINGS, coined, often, words
from glue_harness.metrics import exact_match, f1
from glue_harness.suite.build import classify, text_of
from glue_harness.suite.cues import asks, copied, longer, marks
from glue_harness.suite.superglue import BOOLEANS, group_number, official_label, source, value_at

WARES = THINGS + coined("ware", 60)
NOTHINGS = words("darkness fog laughter silence smoke thunder") + coined("nothing", 60)
ANSWERS = 4  # to each question of the demo

# What idx numbers, and where each of them lies in an official record.
LEVELS = {"paragraph": (), "question": ("passage", "questions"), "answer": ("answers",)}


def adapt(record: Row) -> Iterable[Row]:
    """An official record is a passage; every answer to each of its questions is a row."""
    for question in value_at(record, "passage", "questions"):
        for answer in value_at(question, "answers"):
            yield {
                "paragraph": value_at(record, "passage", "text"),
                "question": value_at(question, "question"),
                "answer": value_at(answer, "text"),
                "idx": {
                    "paragraph": value_at(record, "idx"),
                    "question": value_at(question, "idx"),
                    "answer": value_at(answer, "idx"),
                },
                "label": official_label(answer, BOOLEANS),
            }


def without_tags(text: str) -> str:
    """T5 drops these three tags from the whole input, question and answer too, and knows no other spelling."""
    return re.sub("</?b>", "", text.replace("<br>", " "))


def pairs(example: Example) -> list[Pair]:
    """The paragraph, and beside it the question with one answer."""
    paragraph, question, answer = (text_of(example.fields, name) for name in ("paragraph", "question", "answer"))
    return [Pair(without_tags(paragraph), f"{question} {answer}")]


def demo(random: Random, n: int) -> list[dict]:
    rows = [row for number in range(-(-n // ANSWERS)) for row in questionnaire(random, number)]
    return rows[:n]


def questionnaire(random: Random, number: int) -> list[dict]:
    """A paragraph, its question and its answers, right and wrong in turn so that any cut stays balanced."""
    name, place = random.choice(NAMES), random.choice(PLACES)
    qualities = random.sample(QUALITIES, 4)
    bought = [f"a {quality} {often(random, WARES)}" for quality in qualities[:2]]
    missing = [f"a {quality} {often(random, NOTHINGS)}" for quality in qualities[2:]]
    sentences = (
        f"On {random.choice(DAYS)} {name} went to the {place}.",
        f"There {name} bought {bought[0]} and {bought[1]}.",
    )
    paragraph = "".join(f"<b>Sent {k}: </b>{sentence}<br>" for k, sentence in enumerate(sentences, 1))
    answers = [pair for both in zip(bought, missing, strict=True) for pair in zip(both, (1, 0), strict=True)]
    return [
        {
            "paragraph": paragraph,
            "question": f"What did {name} buy?",
            "answer": answer,
            "idx": {"paragraph": number, "question": number, "answer": ANSWERS * number + k},
            "label": label,
        }
        for k, (answer, label) in enumerate(answers)
    ]


MULTIRC = classify(
    "multirc",
    fields=("question", "answer", "paragraph"),
    read=View("label", pairs),
    labels=BOOLEANS,
    clean=without_tags,
    info=lambda row: {"idx": value_at(row, "idx")},
    group=lambda info: group_number(info, "idx", "question"),
    cluster=lambda info: info["idx"].get("paragraph"),  # not every answer of another system's comes with it
    source=source("multirc", "MultiRC", adapt, train=27_243, validation=4_848, test=9_693),
    metrics=(f1, exact_match),
    submission=Submission("MultiRC.jsonl", words=(0, 1), levels=LEVELS),
    unanswered={"label": -1, "idx": dict.fromkeys(LEVELS, 0)},
    demo=demo,
    demo_noise=0.03,
    cues=(
        marks(1, copied("answer", "paragraph"), "answers copied from the paragraph are right"),
        asks("question"),
        longer("paragraph", "question"),
    ),
    title="MultiRC",
    suite="superglue",
    place=4,
    aliases=("super_glue_multirc_v102", "super_glue/multirc"),
)
