"""Encoders of transformers over packed rows: several sequences in a row, none of which sees another.

Sequences are contiguous, so distances within a row are those within a sequence: relative positions (DeBERTa, MPNet) and
local windows (ModernBERT) stay right; absolute and rotary positions are given, and begin anew with each sequence.
The reference in the tests is transformers' own forward pass over each sequence alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.core.errors import UsageError


@dataclass(frozen=True)
class Body:
    """Where an architecture has its parts, and how it is called."""

    blocks: str  # path to its blocks
    query: str  # names of the matrices that make queries and values
    value: str
    attention: str  # path in a block to the matrix that gives the attention's output
    feed_forward: str  # and to the one that gives the block's
    call: Callable[[nn.Module, Tensor, Tensor, Tensor, Tensor], Tensor]  # ids, segments, positions, types -> states
    reader: str = ""  # path in a block to what reads the block's input more than once, and nothing else does
    final: str = ""  # path to the norm above the blocks
    first_position: Callable[[nn.Module], int] = lambda module: 0  # of the table of positions


def _mask(module: nn.Module, segments: Tensor) -> Tensor:
    """What is added to attention's scores. Not minus infinity: padding may see nothing, and must not give NaN."""
    seen = segments[:, None, :, None] == segments[:, None, None, :]
    kind = segments.device.type
    floats = next(weight.dtype for weight in module.parameters() if weight.is_floating_point())  # int8 ones are none
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else floats
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)


def _plain(module: nn.Module, ids: Tensor, segments: Tensor, positions: Tensor, types: Tensor) -> Tensor:
    """BERT and its kin."""
    typed = {"token_type_ids": types} if getattr(module.config, "type_vocab_size", 0) else {}
    return module(ids, attention_mask=_mask(module, segments), position_ids=positions, **typed).last_hidden_state


def _relative(module: nn.Module, ids: Tensor, segments: Tensor, positions: Tensor, types: Tensor) -> Tensor:
    """DeBERTa, whose layers want a mask of pairs of tokens where its embeddings want one of tokens."""
    typed = types if module.config.type_vocab_size else None
    states = module.embeddings(ids, token_type_ids=typed, position_ids=positions, mask=segments > 0)
    seen = segments[:, :, None] == segments[:, None, :]
    return module.encoder(states, seen, output_hidden_states=False, return_dict=True).last_hidden_state


def _local(module: nn.Module, ids: Tensor, segments: Tensor, positions: Tensor, types: Tensor) -> Tensor:
    """ModernBERT, most of whose layers see a window only."""
    every = _mask(module, segments)
    places = torch.arange(ids.shape[1], device=ids.device)
    near = (places[:, None] - places[None]).abs() <= module.config.sliding_window
    masks = {"full_attention": every, "sliding_attention": every.masked_fill(~near, torch.finfo(every.dtype).min)}
    return module(ids, attention_mask=masks, position_ids=positions).last_hidden_state


def _after_padding(module: nn.Module) -> int:
    """RoBERTa and MPNet count positions from behind the padding's."""
    return module.embeddings.padding_idx + 1


BERT = Body("encoder.layer", "query", "value", "attention.output.dense", "output.dense", _plain, "attention.self")
BODIES = {  # `model_type` in config.json
    "bert": BERT,
    "roberta": replace(BERT, first_position=_after_padding),
    "electra": BERT,
    "distilbert": Body("transformer.layer", "q_lin", "v_lin", "attention.out_lin", "ffn.lin2", _plain, "attention"),
    "albert": Body(
        "encoder.albert_layer_groups",
        "query",
        "value",
        "albert_layers.0.attention.dense",
        "albert_layers.0.ffn_output",
        _plain,
    ),
    "deberta-v2": Body(
        "encoder.layer",
        "query_proj",
        "value_proj",
        "attention.output.dense",
        "output.dense",
        _relative,
        "attention.self",
    ),
    "mpnet": Body(
        "encoder.layer",
        "q",
        "v",
        "attention.attn.o",
        "output.dense",
        _plain,
        "attention.attn",
        first_position=_after_padding,
    ),
    "modernbert": Body("layers", "Wqkv", "Wqkv", "attn.Wo", "mlp.Wo", _local, final="final_norm"),
}


def body_of(config: Any, name: str) -> Body:
    """How an architecture is called, after a look at what it cannot do in rows."""
    if getattr(config, "conv_kernel_size", 0):
        raise UsageError(
            f"model {name!r} has a convolution over tokens, which would mix the examples of a row: use another DeBERTa"
        )
    if getattr(config, "is_decoder", False):
        raise UsageError(f"model {name!r} is configured as a decoder: is_decoder must be false in its config.json")
    return BODIES[config.model_type]


def blocks_of(module: nn.Module, body: Body) -> Sequence[nn.Module]:
    return list(module.get_submodule(body.blocks).children())


def positions_of(module: nn.Module, body: Body) -> int | None:
    """How many tokens a sequence may have; None where nothing sets a limit but memory."""
    most = getattr(module.config, "max_position_embeddings", None)
    if most is None or not getattr(module.config, "position_biased_input", True):
        return None
    return most - body.first_position(module)
