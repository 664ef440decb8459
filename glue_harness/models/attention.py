"""Attention of transformers' encoders over packed rows: one softmax of few kernels, and on a GPU torch's fused one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.models.dropout import dropped

NAME = "glue_packed"  # under which transformers' modules find it


def packed(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' interface: heads before tokens in, tokens before heads out. `attention_mask` is added to scores."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if query.device.type == "cuda":
        mask = None if attention_mask is None else attention_mask.to(query.dtype)
        mixed = functional.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scale)
    else:  # with dropout, SDPA on a CPU takes a path in fp32 and looks for rows that see nothing
        scores = (query * scale) @ key.transpose(2, 3)
        if attention_mask is not None:
            scores = scores + attention_mask.to(scores.dtype)
        shares = scores.softmax(-1)
        mixed = (dropped(shares, dropout) if dropout else shares) @ value
    return mixed.transpose(1, 2).contiguous(), None


def use_packed(body: nn.Module) -> None:
    """Where the architecture lets its attention be chosen; elsewhere it keeps its own."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed)
    if body._supports_attention_backend:
        body.config._attn_implementation = NAME


def lower_once(reader: nn.Module) -> None:
    """What several matrices read goes to autocast's precision once, not in each of them."""
    reader.register_forward_pre_hook(_lowered)


def _lowered(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    kind = given[0].device.type
    if not torch.is_autocast_enabled(kind):
        return given
    return (given[0].to(torch.get_autocast_dtype(kind)), *given[1:])
