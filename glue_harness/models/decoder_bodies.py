"""Decoders of transformers over packed rows: where each architecture has its parts, and how its attention is told
what a token sees. The reference in the tests is transformers' own forward pass over each example alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.core.errors import UsageError
from glue_harness.models.attention import packed

NAME = "glue_packed_causal"  # under which transformers' modules find the attention


@dataclass(frozen=True)
class Body:
    blocks: str  # path to the blocks
    query: str  # names of the matrices that make queries and values
    value: str
    attention: str  # path in a block to the matrix that gives the attention's output
    feed_forward: str  # and to the one that gives the block's
    final: str  # path to the norm above the blocks
    has_table: bool = False  # of positions: there are no more than its rows


LLAMA = Body("model.layers", "q_proj", "v_proj", "self_attn.o_proj", "mlp.down_proj", "model.norm")
BODIES = {  # `model_type` in config.json
    "gpt2": Body("transformer.h", "c_attn", "c_attn", "attn.c_proj", "mlp.c_proj", "transformer.ln_f", True),
    "opt": Body(
        "model.decoder.layers", "q_proj", "v_proj", "self_attn.out_proj", "fc2", "model.decoder.final_layer_norm", True
    ),
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
}


def attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *given: Any, **named: Any) -> Any:
    """As for encoders; where several queries share a key and a value, each gets its own copy."""
    if (groups := query.shape[1] // key.shape[1]) > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    return packed(module, query, key, value, *given, **named)


def use_packed(module: nn.Module) -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attention)
    module.config._attn_implementation = NAME


def replace_gelu(module: nn.Module) -> None:
    """GPT-2's activation as one operation. transformers writes the formula out in eight, a sixth of a step on a CPU."""
    from transformers.activations import NewGELUActivation

    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(part, name, nn.GELU("tanh"))


def check_config(config: Any, name: str) -> None:
    """What packed rows would compute otherwise than the model was trained."""
    if getattr(config, "use_sliding_window", False):
        raise UsageError(f"model {name!r} attends through a window (use_sliding_window), which packed rows do not do")
    if getattr(config, "reorder_and_upcast_attn", False) or getattr(config, "_remove_final_layer_norm", False):
        raise UsageError(f"model {name!r} has an attention of its own (see its config.json), which is not known here")


def blocks_of(module: nn.Module, body: Body) -> list[nn.Module]:
    return list(module.get_submodule(body.blocks).children())


def added_mask(module: nn.Module, seen: Tensor) -> Tensor:
    """What is added to scores. Not minus infinity: padding may see nothing, and must not give NaN."""
    kind = seen.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else next(module.parameters()).dtype
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def states(module: nn.Module, ids: Tensor, seen: Tensor, positions: Tensor) -> Tensor:
    """The last states of every token, row after row."""
    mask = added_mask(module, seen)
    found = module.base_model(ids, attention_mask=mask, position_ids=positions, use_cache=False)
    return found.last_hidden_state.flatten(0, 1)


@torch.no_grad()
def write(module: nn.Module, questions: list[list[int]], end: int, length: int) -> list[list[int]]:
    """The likeliest token each time, until the end of text or so many of them. Questions stand at the right."""
    from transformers import DynamicCache

    device = next(module.parameters()).device
    width = max(map(len, questions))
    ids = torch.tensor([[0] * (width - len(q)) + list(q) for q in questions], device=device)
    empty = torch.tensor([width - len(q) for q in questions], device=device)
    places = torch.arange(width, device=device)
    there = places[None] >= empty[:, None]
    seen = (places[:, None] >= places[None])[None] & there[:, None, :]
    cache, positions = DynamicCache(config=module.config), (places[None] - empty[:, None]).clamp(min=0)
    written = torch.zeros(len(questions), 0, dtype=torch.long, device=device)
    over = torch.zeros(len(questions), dtype=torch.bool, device=device)
    for _ in range(length):
        found = module.base_model(
            ids,
            attention_mask=added_mask(module, seen),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        ids = module.get_output_embeddings()(found.last_hidden_state[:, -1]).argmax(-1, keepdim=True)
        written = torch.cat([written, ids], dim=1)
        over |= ids[:, 0] == end
        if over.all():
            break
        there = torch.cat([there, torch.ones_like(over)[:, None]], dim=1)
        seen, positions = there[:, None, :], positions[:, -1:] + 1
    return written.tolist()
