"""SST-2: is the film review positive?"""

from random import Random

from glue_harness.core.task import Row, Submission
from glue_harness.data.lexicon import balanced_rows, words
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import marks, words_of
from glue_harness.suite.glue import source

ASPECTS = words("score pace story plot cast ending script dialogue music acting")
PRAISE = words("good great funny charming moving clever brilliant fresh")
BLAME = words("bad dull boring awful tedious silly clumsy stale")
DEGREES = words("very really quite truly simply rather")
FILMS = words("film movie drama comedy thriller western")


def demo(random: Random, n: int) -> list[dict]:
    """Two aspects of a film are praised or blamed, one time in six the second by denying the opposite."""

    def review(label: int) -> dict:
        kind, opposite = (PRAISE, BLAME) if label else (BLAME, PRAISE)
        first = f"a {random.choice(kind)} {random.choice(FILMS)} with {random.choice(kind)} {random.choice(ASPECTS)}"
        denied = random.random() < 1 / 6
        again = f"not {random.choice(opposite)}" if denied else f"{random.choice(DEGREES)} {random.choice(kind)}"
        return {"sentence": f"{first} , {again} . "}

    return balanced_rows(random, n, (0, 1), review)


def praise(row: Row) -> int:
    said = words_of(row["sentence"])
    return sum(word in PRAISE for word in said) - sum(word in BLAME for word in said)


SST2 = classify(
    "sst2",
    title="SST-2",
    suite="glue",
    place=2,
    fields=("sentence",),
    labels=("negative", "positive"),
    metrics=(accuracy,),
    source=source(
        "sst2", "SST-2", {"sentence": "sentence", "label": "label"}, train=67_349, validation=872, test=1_821
    ),
    submission=Submission("SST-2.tsv", words=(0, 1)),
    demo=demo,
    cues=(marks(1, praise, "words of praise mark positive"),),
    aliases=("glue_sst2_v002", "glue/sst2"),
)
