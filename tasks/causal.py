"""Text alone, with GPT's objective: a decoder tells each token from those before it."""

from glue_harness.core.task import Continuation
from glue_harness.data.lexicon import stories
from glue_harness.metrics import told
from glue_harness.suite.text_alone import text_alone

CAUSAL = text_alone("causal", Continuation(), (told,), demo=stories, title="Next tokens", suite="pretraining")
