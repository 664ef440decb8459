"""Text alone, as word2vec's skip-gram: each neighbour of a word is told among others from the word."""

from glue_harness.core.task import Neighbours
from glue_harness.data.lexicon import stories
from glue_harness.metrics import told
from glue_harness.suite.text_alone import text_alone

SKIPGRAM = text_alone(
    "skipgram", Neighbours(together=False), (told,), demo=stories, title="Skip-gram", suite="pretraining"
)
