"""A model with fewer layers than it had: what a student starts as, and what is left when whole layers are pruned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from glue_harness.core.errors import UsageError
from glue_harness.models.interface import Model

Kept = Sequence[Sequence[int]]  # of each stack of blocks, the places of those that stay

# Where a configuration says how many layers each stack has, by the number of stacks.
DEPTHS = {1: ("num_hidden_layers",), 2: ("num_layers", "num_decoder_layers")}


def every_other(model: Model) -> Kept:
    """Layers 0, 2, 4, ... of each stack, which is how DistilBERT begins (Sanh et al., 2019, section 2)."""
    return [range(0, len(stack), 2) for stack in model.parts().stacks]


def keep_layers(model: Model, kept: Kept) -> None:
    """Leaves of each of the model's stacks (`parts().stacks`) these blocks, and has its configuration say so.

    From then on it is an ordinary smaller model: it is saved, loaded and exported as one. Called before parameters are
    given to an optimiser, and before a method adds any.
    """
    check(model, kept)
    stacks, config = model.parts().stacks, model.config  # type: ignore[attr-defined]  # check has seen it
    for stack, places, depth in zip(stacks, kept, DEPTHS[len(stacks)], strict=True):
        blocks = [stack[k] for k in places]
        if types := getattr(config, "layer_types", None):  # of ModernBERT, Qwen: windows or all
            config.layer_types = [types[k] for k in places]
        setattr(config, depth, len(blocks))
        move_distances(stack[0], blocks[0])
        holder = holder_of(model, stack)
        del holder[:]
        holder.extend(blocks)
        for place, block in enumerate(blocks):
            for part in block.modules():
                if hasattr(part, "layer_idx"):  # its place in the memory of what was written
                    part.layer_idx = place
        if own := config_of_stack(model, blocks):  # a T5's stacks have copies of the configuration
            own.num_layers = len(blocks)
    model.plain = {name for name, _ in model.module.named_parameters()}


def check(model: Model, kept: Kept) -> None:
    """Refuses what cannot be taken out of this model, with the reason."""
    parts, config = model.parts(), getattr(model, "config", None)
    stacks, named = parts.stacks, f"model {getattr(model, 'name', '')!r}"
    if not stacks or any(not hasattr(config, depth) for depth in DEPTHS.get(len(stacks), ("",))):
        raise UsageError(f"{named} has no layers that could be left out: use an encoder, a T5 or a decoder")
    if parts.passes > len(stacks[-1]):
        raise UsageError(f"{named} uses the same layer {parts.passes} times: none can be left out")
    if getattr(config, "scale_attn_by_inverse_layer_idx", False):
        raise UsageError(f"{named} computes by the number of each layer: none can be left out")
    for stack, places in zip(stacks, kept, strict=True):
        assert [] != [*places] == sorted({*places} & {*range(len(stack))}), "places that are there, in their order"
        if places[0] and type(getattr(stack[0], "attn_norm", None)) is nn.Identity:
            raise UsageError(f"{named}: its first layer differs from the others (it has no norm), so it must stay")


def holder_of(model: Model, stack: Sequence[nn.Module]) -> nn.ModuleList:
    """The list of modules that holds a stack's blocks."""
    lists = (part for part in model.module.modules() if isinstance(part, nn.ModuleList))
    return next(found for found in lists if list(found) == list(stack))


def config_of_stack(model: Model, blocks: Sequence[nn.Module]) -> Any:
    """Of a model of two stacks, the configuration that this one has for itself."""
    for part in model.module.children():
        if list(getattr(part, "block", ())) == list(blocks):
            return part.config
    return None


def move_distances(first: nn.Module, now_first: nn.Module) -> None:
    """What a T5 has learned of distances lies in the lowest layer of a stack; all others read it there."""
    table = "relative_attention_bias"
    own = [part for part in first.modules() if isinstance(getattr(part, table, None), nn.Embedding)]
    if own and now_first is not first:
        # the self-attention comes first in a block
        heir = next(part for part in now_first.modules() if hasattr(part, "has_relative_attention_bias"))
        if not heir.has_relative_attention_bias:  # UMT5 has one in every layer
            heir.relative_attention_bias, heir.has_relative_attention_bias = own[0].relative_attention_bias, True
