"""Text alone, with T5's unsupervised objective: C4's place in its mixtures, filled by any text of the user's."""

from glue_harness.core.task import SpanNoise
from glue_harness.data.lexicon import stories
from glue_harness.suite.text_alone import text_alone

SPAN_CORRUPTION = text_alone(
    "span_corruption",
    SpanNoise(density=0.15, mean_span=3.0),
    demo=stories,
    title="Span corruption",
    suite="unsupervised",
    aliases=("c4_v020_unsupervised",),
)
