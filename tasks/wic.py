"""WiC: does the word mean the same in both sentences?"""

from random import Random

from glue_harness.core.task import Example, Mark, Pair, Submission, View
from glue_harness.data.lexicon import DAYS, NAMES, balanced_rows, often
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify, text_of
from glue_harness.suite.cues import copied, longer, marks
from glue_harness.suite.superglue import BOOLEANS, flat, source

COLUMNS = ("word", "sentence1", "sentence2", "start1", "start2", "end1", "end2")
USUAL = {
    "bank": ("took money to the bank", "asked the bank for a loan"),
    "bark": ("heard the dogs bark", "made the puppy bark"),
    "bat": ("saw a bat fly by", "found a bat asleep in the cave"),
    "match": ("watched a football match", "won the tennis match"),
    "ring": ("wore a gold ring", "gave the bride a ring"),
    "spring": ("sowed seeds in spring", "waited for the warm spring"),
    "bow": ("tied the ribbon in a bow", "wore a red bow"),
    "nail": ("hit the nail with a hammer", "pulled a rusty nail out"),
    "park": ("walked in the park", "played in the green park"),
    "seal": ("fed the seal with fish", "saw the seal swim"),
    "top": ("reached the top", "looked down from the top"),
    "watch": ("wound up the watch", "wore a silver watch"),
}
OTHER = {
    "bank": ("fished from the river bank", "climbed the muddy bank"),
    "bark": ("cut the bark of a tree", "carved a name into the bark"),
    "bat": ("hit the ball with a bat", "swung a wooden bat"),
    "match": ("struck a match", "lit the candle with a match"),
    "ring": ("waited for the phone to ring", "let the bell ring"),
    "spring": ("fixed the spring of the clock", "bent a steel spring"),
    "bow": ("shot with the bow", "carried a bow and arrows"),
    "nail": ("bit a nail off", "cut the nail of the thumb"),
    "park": ("tried to park the car", "chose to park on the left"),
    "seal": ("broke the seal of the letter", "put a seal on the contract"),
    "top": ("spun the wooden top", "gave the child a top"),
    "watch": ("kept watch all night", "stood on watch at the gate"),
}

WORDS = tuple(USUAL)


def demo(random: Random, n: int) -> list[dict]:
    """The first sentence mostly has the usual sense, so that the second alone decides."""

    def pair(label: int) -> dict:
        word = often(random, WORDS)
        senses = (USUAL, OTHER) if random.random() < 5 / 6 else (OTHER, USUAL)
        first, again = random.sample(senses[0][word], 2)
        phrases = first, again if label else random.choice(senses[1][word])
        first, second = (f"On {random.choice(DAYS)} {random.choice(NAMES)} {phrase}." for phrase in phrases)
        start1, start2 = first.rindex(word), second.rindex(word)
        values = word, first, second, start1, start2, start1 + len(word), start2 + len(word)
        return dict(zip(COLUMNS, values, strict=True))

    return balanced_rows(random, n, range(len(BOOLEANS)), pair)


def pairs(example: Example) -> list[Pair]:
    """Both sentences, with the places of the word; where a row does not tell them, its first occurrence."""
    texts = [text_of(example.fields, name) for name in ("sentence1", "sentence2")]
    marks = []
    for k, text in enumerate(texts):
        start, end = (example.fields.get(f"{name}{k + 1}") for name in ("start", "end"))
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
            word = text_of(example.fields, "word")
            start = max(0, text.lower().find(word.lower()))
            end = min(start + len(word), len(text))
        marks.append(Mark(k, start, end))
    return [Pair(*texts, tuple(marks))]


WIC = classify(
    "wic",
    fields=("sentence1", "sentence2", "word"),
    read=View("marks", pairs, columns=COLUMNS[3:]),
    labels=BOOLEANS,
    source=source("wic", "WiC", flat(*COLUMNS, labels=BOOLEANS), train=5_428, validation=638, test=1_400),
    metrics=(accuracy,),
    submission=Submission("WiC.jsonl", words=("false", "true")),
    demo=demo,
    demo_noise=0.05,
    cues=(
        marks(1, copied("sentence1", "sentence2"), "a word between the same neighbours means the same"),
        longer("sentence1", "word"),
    ),
    title="WiC",
    suite="superglue",
    place=7,
    aliases=("super_glue_wic_v102", "super_glue/wic"),
)
