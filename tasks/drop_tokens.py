"""Text alone, i.i.d. noise with dropped tokens as in the T5 paper's Table 5: a T5 writes what a text lacks."""

from glue_harness.core.task import Denoising
from glue_harness.data.lexicon import stories
from glue_harness.suite.text_alone import text_alone

DROP_TOKENS = text_alone(
    "drop_tokens",
    Denoising(share=0.15, way="dropped"),
    demo=stories,
    title="I.i.d. noise, dropped tokens",
    suite="pretraining",
)
