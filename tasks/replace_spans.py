"""Text alone, i.i.d. noise with replaced spans as in the T5 paper's Table 5: a T5 writes tokens that were drawn
one by one, what stands together behind one sentinel.
"""

from glue_harness.core.task import Denoising
from glue_harness.data.lexicon import stories
from glue_harness.suite.text_alone import text_alone

REPLACE_SPANS = text_alone(
    "replace_spans",
    Denoising(share=0.15, way="spans"),
    demo=stories,
    title="I.i.d. noise, replaced spans",
    suite="pretraining",
)
