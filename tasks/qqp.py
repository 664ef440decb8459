"""QQP: do two questions from Quora ask the same?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import balanced_rows, words
from glue_harness.metrics import accuracy, f1
from glue_harness.suite.build import classify
from glue_harness.suite.cues import asks, marks, shared
from glue_harness.suite.glue import source

VERBS = words("learn teach play understand study practise enjoy improve")
TOPICS = words("chess piano physics painting cooking spanish tennis singing history writing")
WHERE = ("at home", "at school", "at work", "outdoors", "online", "abroad")
WHEN = ("in spring", "in summer", "in autumn", "in winter", "at night", "by day")
ASKED = ("How do I", "How can I", "How should I", "How could I")
SAME = ("What is the best way to", "What are good ways to", "Which steps help to", "Which method helps to")
OTHER = ("Why should I", "Where can I", "Who likes to", "When did people", "Is it fun to")


def demo(random: Random, n: int) -> list[dict]:
    """Both ask how something is done, or the second asks why, where, who, when or whether."""

    def pair(label: int) -> dict:
        matter = f"{random.choice(VERBS)} {random.choice(TOPICS)} {random.choice(WHERE)} {random.choice(WHEN)}?"
        again = random.choice(SAME if label else OTHER)
        return {"question1": f"{random.choice(ASKED)} {matter}", "question2": f"{again} {matter}"}

    return balanced_rows(random, n, (0, 1), pair)


QQP = classify(
    "qqp",
    title="QQP",
    suite="glue",
    place=5,
    fields=("question1", "question2"),
    labels=("not_duplicate", "duplicate"),
    metrics=(f1, accuracy),
    source=source(
        "qqp",
        "QQP",
        {"question1": "question1", "question2": "question2", "label": "is_duplicate"},
        train=363_849,  # of the official file, which T5 mixes by; the Hub's copy lacks three
        validation=40_430,
        test=390_965,
    ),
    submission=Submission("QQP.tsv", words=(0, 1)),
    demo=demo,
    cues=(
        marks(1, shared("question1", "question2", letters=5), "duplicates share long words"),
        asks("question1"),
        asks("question2"),
    ),
    aliases=("glue_qqp_v002", "glue/qqp"),
)
