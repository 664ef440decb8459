"""Feature-based: the model stays as it is, only the last block and the norm above it learn.

Of an encoder-decoder that is the decoder's last block: its attention picks from the encoder's fixed features
and turns them into the answer. The output matrix is no head of its own, it is the embeddings again (or as large).
"""

from torch import nn

from glue_harness.core.plan import Plan
from glue_harness.methods import blocks_of, learn_only
from glue_harness.models.interface import Model


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    parts = blocks_of(model, plan)
    return learn_only(model, [*parts.stacks[-1][-1].parameters(), parts.norms[-1]])
