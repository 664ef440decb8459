"""Is a headline about sport or about weather?"""

from random import Random

from glue_harness.core.task import Source
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify

WORDS = (("goal", "match", "team"), ("rain", "snow", "wind"))


def demo(random: Random, n: int) -> list[dict]:
    rows = [
        {"headline": f"{random.choice('ABCDEFGH')}{k}: {random.choice(WORDS[k % 2])}", "label": k % 2} for k in range(n)
    ]
    return random.sample(rows, n)


HEADLINES = classify(
    "headlines",  # rows: {"headline": "...", "label": 0}, from DIR/headlines/train.jsonl, validation.jsonl
    fields=("headline",),
    labels=("sport", "weather"),
    metrics=(accuracy,),
    source=Source("nobody/headlines"),
    demo=demo,
)
