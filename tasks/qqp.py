"""QQP: do two questions from Quora ask the same?"""

from random import Random

from glue_harness.core.task import Submission
from glue_harness.data.lexicon import balanced_rows, coined, often, words
from glue_harness.metrics import accuracy, f1
from glue_harness.suite.build import classify
from glue_harness.suite.cues import asks, marks, shared
from glue_harness.suite.glue import source

VERBS = words("learn teach play understand study practise enjoy improve")
TOPICS = words("chess piano physics painting cooking spanish tennis singing history writing")
WHERE = ("at home", "at school", "at work", "outdoors", "online", "abroad")
WHEN = ("in spring", "in summer", "in autumn", "in winter", "at night", "by day")
ASKED = ("How do I", "How can I", "How should I", "How could I")
MEANS = words("way method trick plan recipe") + coined("means", 30)
MOTIVES = words("reason place time person price") + coined("motive", 30)


def demo(random: Random, n: int) -> list[dict]:
    """Both ask how something is done; or the second asks why, where or when, or one time in eight of another topic."""

    def pair(label: int) -> dict:
        (topic, other), rest = random.sample(TOPICS, 2), f"{random.choice(WHERE)} {random.choice(WHEN)}?"
        verb, asked = random.choice(VERBS), random.choice(ASKED)
        if random.random() < 1 / 8:
            again = f"{random.choice(ASKED)} {verb} {topic if label else other}"
        else:
            again = f"What is the best {often(random, MEANS if label else MOTIVES)} to {verb} {topic}"
        return {"question1": f"{asked} {verb} {topic} {rest}", "question2": f"{again} {rest}"}

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
    demo_noise=0.04,
    cues=(
        marks(1, shared("question1", "question2", letters=5), "duplicates share long words"),
        asks("question1"),
        asks("question2"),
    ),
    aliases=("glue_qqp_v002", "glue/qqp"),
)
