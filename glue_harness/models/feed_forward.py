"""T5's feed-forward sub-layer without a detour: transformers' own goes from bf16 to fp32 and back in the middle."""

from __future__ import annotations

from torch import Tensor, nn


class FeedForward(nn.Module):
    """Holds the parts of transformers' module under their names, so that weights are called as ever."""

    def __init__(self, made: nn.Module) -> None:
        super().__init__()
        for name, part in made.named_children():
            setattr(self, name, part)
        self.gated = hasattr(made, "wi_0")

    def forward(self, x: Tensor) -> Tensor:
        inner = self.act(self.wi_0(x)) * self.wi_1(x) if self.gated else self.act(self.wi(x))
        return self.wo(self.dropout(inner))


def replace_feed_forward(module: nn.Module) -> None:
    for block in (*module.encoder.block, *module.decoder.block):
        block.layer[-1].DenseReluDense = FeedForward(block.layer[-1].DenseReluDense)
