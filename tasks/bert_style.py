"""Text alone, BERT-style as in the T5 paper's Table 4: a T5 writes the whole text of which some tokens are hidden."""

from glue_harness.core.task import Denoising
from glue_harness.data.lexicon import stories
from glue_harness.suite.text_alone import text_alone

BERT_STYLE = text_alone(
    "bert_style", Denoising(share=0.15, random=0.1), demo=stories, title="BERT-style denoising", suite="pretraining"
)
