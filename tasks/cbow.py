"""Text alone, as word2vec's CBOW: a word is told among others from the mean of its neighbours."""

from glue_harness.core.task import Neighbours
from glue_harness.data.lexicon import stories
from glue_harness.metrics import told
from glue_harness.suite.text_alone import text_alone

CBOW = text_alone("cbow", Neighbours(together=True), (told,), demo=stories, title="CBOW", suite="pretraining")
