"""CNN/DailyMail: summarise a news article in a few sentences.

The Hub's files and T5's differ in one detail nobody settled: whether a line of highlights ends in ` .` or `.`.
"""

from random import Random

from glue_harness.core.task import Row, Source, Text, jsonl
from glue_harness.data.lexicon import coined, often
from glue_harness.metrics import rouge
from glue_harness.suite.build import generate, text_of

PEOPLE = ("a baker", "a farmer", "a judge", "a nurse", "a pilot", "a sailor", "a singer", "a teacher")
DEEDS = ("bought a castle", "caught a thief", "found gold", "lost a race", "saved a cat", "swam home", "won a prize")
PLACES = ("Bergen", "Cork", "Dakar", "Fez", "Lima", "Porto", "Riga", "Turin")
PLACES += tuple(map(str.capitalize, coined("scene", 300)))
FILLERS = (
    "Nobody was hurt .",
    "Neighbours were surprised .",
    "The weather was mild .",
    "More is expected next week .",
    "A spokesman gave no comment .",
)


def encode(row: Row) -> list[Text]:
    return [Text(f"summarize: {text_of(row, 'article')}", text_of(row, "highlights"))]


def demo(random: Random, n: int) -> list[dict]:
    """The news stands between sentences that say nothing."""
    rows = []
    for _ in range(n):
        news = f"{random.choice(PEOPLE)} {random.choice(DEEDS)} in {often(random, PLACES)} ."
        before, *after = random.sample(FILLERS, 3)
        rows.append({"article": " ".join([before, f"Reporters say that {news}", *after]), "highlights": news})
    return rows


CNN_DAILYMAIL = generate(
    "cnn_dailymail",
    columns=("article", "highlights"),
    encode=encode,
    source=Source(
        hub="abisee/cnn_dailymail",
        config="3.0.0",
        rows={"train": 287_113, "validation": 13_368, "test": 11_490},
        folder="CNN-DailyMail",
        files={split: jsonl(f"{split}.jsonl") for split in ("train", "validation", "test")},
    ),
    metrics=(rouge,),
    unanswered={"highlights": ""},
    demo=demo,
    demo_noise=0,
    title="CNN/DM",
    suite="summarization",
    place=1,
    aliases=("cnn_dailymail_v002",),
)
