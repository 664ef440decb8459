"""Matrices of 8-bit whole numbers, for models that only answer, on a CPU.

Each output of a matrix has a scale of its own: weight = scale x whole number from -127 to 127. `dynamic`: the inputs
become whole numbers too, each token by a scale of its own, and the product is one of whole numbers, exact on every
machine. torch's own dynamic quantisation takes one scale for all tokens of a batch, so that an answer there depends on
what else is in its batch, padding included; here it does not. `weight-only`: the product is that of floats.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST = 127  # -128 is left out: the numbers lie evenly around 0
TINY = 1e-12  # scale of what is all zeros
ROWS = 256  # tokens of a product: what is made on the way stays in the cache


class Int8Linear(nn.Module):
    """In the place of a `nn.Linear`, under its names, with `scale` beside them."""

    def __init__(self, made: nn.Linear, dynamic: bool) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.weight, self.scale = _rounded(made.weight)
        self.bias = None if made.bias is None else nn.Parameter(made.bias.detach().float(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        if not self.dynamic:
            found = functional.linear(x.to(dtype), self.weight.to(dtype)) * self.scale.to(dtype)
            return found if self.bias is None else found + self.bias.to(dtype)
        rows = x.reshape(-1, x.shape[-1])
        found = torch.empty(len(rows), len(self.weight), dtype=dtype, device=x.device)
        for start in range(0, len(rows), ROWS):
            found[start : start + ROWS] = self._product(rows[start : start + ROWS])
        return found.view(*x.shape[:-1], -1)

    def _product(self, rows: Tensor) -> Tensor:
        scales = _scales(rows)
        product = torch._int_mm(_whole(rows, scales), self.weight.t()).float().mul_(scales).mul_(self.scale)
        return product if self.bias is None else product.add_(self.bias)

    def undone(self) -> nn.Linear:
        """With floats again: those that the whole numbers stand for."""
        outputs, inputs = self.weight.shape
        made = nn.Linear(inputs, outputs, bias=self.bias is not None)
        with torch.no_grad():
            made.weight.copy_(self.weight.float() * self.scale[:, None])
            if self.bias is not None:
                made.bias.copy_(self.bias)
        return made


class Int8Embedding(nn.Module):
    """In the place of a `nn.Embedding`: a scale for each row."""

    def __init__(self, made: nn.Embedding) -> None:
        super().__init__()
        self.padding_idx = made.padding_idx
        self.weight, self.scale = _rounded(made.weight)

    def forward(self, ids: Tensor) -> Tensor:
        return functional.embedding(ids, self.weight).float() * functional.embedding(ids, self.scale[:, None])

    def undone(self) -> nn.Embedding:
        return nn.Embedding.from_pretrained(self.weight.float() * self.scale[:, None], padding_idx=self.padding_idx)


Int8 = (Int8Linear, Int8Embedding)


def _rounded(weight: Tensor) -> tuple[nn.Parameter, nn.Parameter]:
    """The whole numbers of a matrix, and the scale of each of its rows."""
    scales = _scales(weight.detach())
    whole = _whole(weight.detach(), scales)
    return nn.Parameter(whole, requires_grad=False), nn.Parameter(scales[:, 0], requires_grad=False)


def _scales(rows: Tensor) -> Tensor:
    return (rows.abs().amax(dim=-1, keepdim=True).float() / LARGEST).clamp(min=TINY)


def _whole(rows: Tensor, scales: Tensor) -> Tensor:
    return (rows / scales).round_().to(torch.int8)
