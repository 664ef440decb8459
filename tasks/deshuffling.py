"""Text alone, deshuffling as in the T5 paper's Table 4: a T5 puts the tokens of a text in order again."""

from glue_harness.core.task import Denoising
from glue_harness.data.lexicon import stories
from glue_harness.suite.text_alone import text_alone

DESHUFFLING = text_alone(
    "deshuffling", Denoising(way="shuffled"), demo=stories, title="Deshuffling", suite="pretraining"
)
