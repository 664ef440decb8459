"""Gradual unfreezing: the top block of each stack learns from the start, the ones below join in one by one.

What belongs to no block learns throughout: the embeddings, the final norms, an output matrix of its own. A
relative-position bias belongs to the block that holds it, in T5 the lowest.
"""

from torch import nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.methods import blocks_of, learn_only
from glue_harness.models.interface import Model


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    episodes = max(map(len, blocks_of(model, plan).stacks))
    if plan.steps < episodes:
        raise UsageError(
            f"unfreeze needs a step for each of the {episodes} layers of {plan.model!r}: steps is {plan.steps}"
        )
    everything = learn_only(model, model.module.parameters())
    on_step(model, plan, 0)
    return everything


def on_step(model: Model, plan: Plan, step: int) -> None:
    """Of a stack that is less deep than the other, the same share is frozen, rounded down."""
    stacks = model.parts().stacks
    episodes = max(map(len, stacks))
    left = episodes - 1 - step * episodes // plan.steps
    for stack in stacks:
        for depth, block in enumerate(stack):
            block.requires_grad_(depth >= len(stack) * left // episodes)
