"""Text alone, as prefix language modelling of the T5 paper's Table 4: a T5 goes on with the beginning of a text."""

from glue_harness.core.task import Prefix
from glue_harness.data.lexicon import stories
from glue_harness.suite.text_alone import text_alone

PREFIX_LM = text_alone("prefix_lm", Prefix(), demo=stories, title="Prefix language modelling", suite="pretraining")
