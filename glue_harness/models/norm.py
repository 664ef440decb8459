"""T5's layer norm, which only scales: on CUDA one kernel, where transformers' own starts six and more backwards."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Norm(nn.Module):
    """x / sqrt(mean x^2 + epsilon) times a scale. On a CPU in transformers' order, to the same bits."""

    def __init__(self, made: nn.Module) -> None:
        super().__init__()
        self.weight, self.variance_epsilon = made.weight, made.variance_epsilon

    def forward(self, x: Tensor) -> Tensor:
        return self.fused(x) if x.device.type == "cuda" else self.plain(x)

    def fused(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, self.variance_epsilon)

    def plain(self, x: Tensor) -> Tensor:
        variance = x.to(torch.float32).pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.variance_epsilon))


def replace_norms(module: nn.Module) -> None:
    """Weights keep their names."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if name.endswith("layer_norm"):
                setattr(part, name, Norm(child))
