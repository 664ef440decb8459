"""Text alone, MASS-style as in the T5 paper's Table 5: a T5 writes the whole text of which some tokens are hidden."""

from glue_harness.core.task import Denoising
from glue_harness.data.lexicon import stories
from glue_harness.suite.text_alone import text_alone

MASS_STYLE = text_alone(
    "mass_style", Denoising(share=0.15, random=0.0), demo=stories, title="MASS-style denoising", suite="pretraining"
)
