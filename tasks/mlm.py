"""Text alone, with BERT's objective: an encoder tells the words that were hidden."""

from glue_harness.core.task import Masking
from glue_harness.data.lexicon import stories
from glue_harness.metrics import told
from glue_harness.suite.text_alone import text_alone

MLM = text_alone(
    "mlm", Masking(share=0.15, masked=0.8, random=0.1), (told,), demo=stories, title="Masked words", suite="pretraining"
)
