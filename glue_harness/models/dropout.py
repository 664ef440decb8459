"""Dropout whose mask is cheap on a CPU: torch draws one random number for each value there, one after the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 1 << 16  # a mask's draws are 16 bits, four of them from each random word


class Dropout(nn.Dropout):
    """nn.Dropout, to 1/65,536 of the rate, in a tenth of the time."""

    def forward(self, x: Tensor) -> Tensor:
        return dropped(x, self.p) if self.training else x


def dropped(x: Tensor, rate: float) -> Tensor:
    if x.device.type != "cpu" or torch.compiler.is_compiling():  # a graph cannot hold our way of drawing
        return functional.dropout(x, rate)
    return _OnCPU.apply(x, rate) if rate else x


class _OnCPU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, rate: float) -> Tensor:
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.int16)[: x.numel()].view(x.shape)
        kept = drawn >= round(rate * LEVELS) - LEVELS // 2
        scale = kept.to(x.dtype).mul_(1 / (1 - rate))  # once; a product with booleans would convert them each time
        context.save_for_backward(scale)
        return x * scale

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (scale,) = context.saved_tensors
        return gradient * scale, None


def replace_dropout(module: nn.Module, kind: type[nn.Dropout] = Dropout) -> None:
    """Every dropout of a model becomes one of this kind, of the same rate."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.Dropout):
                setattr(part, name, kind(child.p).train(child.training))
