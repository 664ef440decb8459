"""Text alone, with BERT's two objectives: words that were hidden, and whether the second segment follows the first."""

from glue_harness.core.task import Masking
from glue_harness.data.lexicon import stories
from glue_harness.metrics import told_pairs
from glue_harness.suite.text_alone import text_alone

MLM_NSP = text_alone(
    "mlm_nsp",
    Masking(pairs=True),
    (told_pairs,),
    demo=stories,
    title="Masked words, next segments",
    suite="pretraining",
)
