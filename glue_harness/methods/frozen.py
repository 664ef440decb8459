"""Feature-based: the model stays as it is, and what answers learns to read its fixed features.

Where heads answer, only they learn, on the encoder's states without dropout; `frozen_layers = sum` gives them a learned
weighted sum of all layers, as ELMo does. Of a model that writes, the last block and the norm above it learn: of an
encoder-decoder the decoder's, whose attention picks from the encoder's fixed features and turns them into the answer.
The output matrix is no head of its own, it is the embeddings again (or as large).
"""

from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import blocks_of, learn_only
from glue_harness.models.interface import Model, Parts
from glue_harness.models.layer_sum import LayerSum

SETTINGS = (
    Setting(
        "frozen_layers",
        str,
        "last",
        "What heads read: last, or sum: a learned weighted sum of all layers (ELMo's), for --method frozen.",
        choices=("last", "sum"),
        fixed=True,
    ),
)


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    parts = model.parts()
    if not parts.heads:
        if plan.frozen_layers == "sum":
            raise UsageError(f"frozen_layers is 'sum' but model {plan.model!r} has no heads to read it: leave it out")
        return learn_only(model, [*blocks_of(model, plan).stacks[-1][-1].parameters(), parts.norms[-1]])
    if plan.frozen_layers == "last":
        return learn_only(model, ())
    blocks = blocks_of(model, plan)
    if not hasattr(parts.reader, "layer_sum"):  # of the run that it starts from
        sum_layers(blocks)
    return learn_only(model, parts.reader.layer_sum.parameters())


def on_step(model: Model, plan: Plan, step: int) -> None:
    """Dropout is the heads' alone: what they read is fixed."""
    heads = {id(part) for head in model.parts().heads for part in head.modules()}
    model.module.train()
    for part in model.module.children():
        if heads and heads.isdisjoint(map(id, part.modules())):
            part.eval()


def sum_layers(parts: Parts) -> None:
    """Has the last block of a pass give the sum of what entered the first one and what all blocks gave."""
    blocks = parts.stacks[-1]
    passes = parts.passes or len(blocks)
    seen: list[Tensor] = []
    parts.reader.layer_sum = layer_sum = LayerSum(passes + 1)

    def begin(*_: Any) -> None:
        seen.clear()  # what an earlier pass left, that ended in the middle

    @torch.compiler.disable  # a graph of a block would hold what its list had when it was made
    def gather(block: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        if not seen:
            seen.append(given[0] if given else named["hidden_states"])
        seen.append(states)
        if len(seen) <= passes:
            return output
        summed = layer_sum(seen)
        seen.clear()
        return (summed, *output[1:]) if isinstance(output, tuple) else summed

    parts.embeddings.register_forward_pre_hook(begin)
    for block in blocks:
        block.register_forward_hook(gather, with_kwargs=True)
