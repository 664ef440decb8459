"""Text alone, as ELMo learns it: each word is told from those before it, and from those behind it."""

from glue_harness.core.task import BothWays
from glue_harness.data.lexicon import stories
from glue_harness.metrics import told
from glue_harness.suite.text_alone import text_alone

BILM = text_alone("bilm", BothWays(), (told,), demo=stories, title="BiLM", suite="pretraining")
