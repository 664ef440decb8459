"""SST-2: is the film review positive?"""

from random import Random

from glue_harness.core.task import Row, Submission
from glue_harness.data.lexicon import balanced_rows, coined, often, words
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify
from glue_harness.suite.cues import marks, words_of
from glue_harness.suite.glue import source

ASPECTS = words("score pace story plot cast ending script dialogue music acting")
PRAISE = words("good great funny charming moving clever brilliant fresh")
BLAME = words("bad dull boring awful tedious silly clumsy stale")
PRAISING, BLAMING = PRAISE + coined("praise", 30), BLAME + coined("blame", 30)
DEGREES = words("very really quite truly simply rather")
FILMS = words("film movie drama comedy thriller western")


def demo(random: Random, n: int) -> list[dict]:
    """A film is praised or blamed, one time in eight each by denying the opposite, or despite it."""

    def review(label: int) -> dict:
        kind, opposite = (PRAISING, BLAMING) if label else (BLAMING, PRAISING)
        film, aspect, degree = random.choice(FILMS), random.choice(ASPECTS), random.choice(DEGREES)
        how = random.random()
        if how < 1 / 8:
            said = f"a {film} with {aspect} that is not {often(random, opposite)}"
        elif how < 1 / 4:
            said = f"a {degree} {often(random, kind)} {film} despite its {often(random, opposite)} {aspect}"
        else:
            said = f"a {film} with {degree} {often(random, kind)} {aspect}"
        return {"sentence": f"{said} . "}

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
    demo_noise=0.04,
    cues=(marks(1, praise, "words of praise mark positive"),),
    aliases=("glue_sst2_v002", "glue/sst2"),
)
