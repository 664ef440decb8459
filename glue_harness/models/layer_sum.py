"""ELMo's way to read a model that has learned: a weighted sum of all of its layers, whose weights learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerSum(nn.Module):
    """scale x sum_j softmax(weights)_j h_j, with h_0 what enters the first block (Peters et al., 2018)."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(layers))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, layers: list[Tensor]) -> Tensor:
        shares = self.weights.softmax(0)
        return self.scale * sum(share * states for share, states in zip(shares, layers, strict=True))
