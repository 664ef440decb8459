"""Text alone, with T5's unsupervised objective: C4's place in its mixtures, filled by any text of the user's."""

from random import Random

from glue_harness.core.task import Row, Source, SpanNoise, Text, txt
from glue_harness.data.lexicon import ENTAILMENT, NEUTRAL, inference
from glue_harness.suite.build import generate, text_of

STORIES = 3  # in a text of the demo: long enough for several hidden spans


def encode(row: Row) -> list[Text]:
    """The target is made of the tokens, anew each time the text is drawn."""
    text = text_of(row, "text")
    return [Text(text, "")] if text.strip() else []


def demo(random: Random, n: int) -> list[dict]:
    """What is hidden of a second sentence can often be told from the first."""

    def story() -> str:
        return " ".join(inference(random, random.choice((ENTAILMENT, NEUTRAL))))

    return [{"text": " ".join(story() for _ in range(STORIES))} for _ in range(n)]


SPAN_CORRUPTION = generate(
    "span_corruption",
    columns=("text",),
    encode=encode,
    source=Source(files={"train": txt("span_corruption.txt", "span_corruption/*.txt")}),
    metrics=(),
    splits={"train": "train"},
    noise=SpanNoise(density=0.15, mean_span=3.0),
    demo=demo,
    title="Span corruption",
    suite="unsupervised",
    aliases=("c4_v020_unsupervised",),
)
