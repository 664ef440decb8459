"""Weights in bf16 beside the exact ones, refreshed all at once.

Autocast casts each weight of a product by itself, and each of their gradients back: 386 of the 2,228 operations that a
step of t5:base starts on CUDA. A list of casts is a few. The exact weights stay what the module, the method, the
optimiser and checkpoints know; copies take their place for a pass, and give the same bits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.models.interface import Model
from glue_harness.train.device import Machine
from glue_harness.train.memory import Fit
from glue_harness.train.passes import Run, one_pass


class Copies:
    """Of all weights that linear layers alone read: what an embedding reads too is needed exactly."""

    def __init__(self, module: nn.Module, inner: Run = one_pass) -> None:
        self.inner = inner
        parts = list(module.modules())
        others = {id(w) for part in parts if not isinstance(part, nn.Linear) for w in part.parameters(recurse=False)}
        places = [
            (part._parameters, name, weight)
            for part in parts
            if isinstance(part, nn.Linear)
            for name, weight in part.named_parameters(recurse=False)
            if id(weight) not in others
        ]
        exact = {id(weight): weight for _, _, weight in places}
        made = {key: nn.Parameter(weight.detach().to(torch.bfloat16)) for key, weight in exact.items()}
        self.weights, self.copies = list(exact.values()), list(made.values())
        self.places = [(held, name, weight, made[id(weight)]) for held, name, weight in places]

    def run(self, model: Model, batch: Any, terms: int | Tensor, machine: Machine, fit: Fit, alone: bool) -> Tensor:
        """A pass, as the one that was given does it."""
        with self.in_place():
            each = self.inner(model, batch, terms, machine, fit, alone)
            self.collect()
        return each

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The copies instead of the weights. Backwards too: where memory is short, blocks are computed again."""
        if self.copies:
            with torch.no_grad():
                torch._foreach_copy_(self.copies, self.weights)
        for copy, weight in zip(self.copies, self.weights, strict=True):
            copy.requires_grad_(weight.requires_grad)  # gradual unfreezing changes it
        try:
            for held, name, _, copy in self.places:
                held[name] = copy
            yield
        finally:
            for held, name, weight, copy in self.places:
                held[name], copy.grad = weight, None

    @torch.no_grad()
    def collect(self) -> None:
        """The gradients of a pass, added in fp32 to those of the exact weights, as autocast adds them."""
        learned = [
            (copy, weight) for copy, weight in zip(self.copies, self.weights, strict=True) if copy.grad is not None
        ]
        if not learned:
            return
        exact = [torch.empty_like(weight) for _, weight in learned]
        torch._foreach_copy_(exact, [copy.grad for copy, _ in learned])
        older = [(weight.grad, new) for (_, weight), new in zip(learned, exact, strict=True) if weight.grad is not None]
        if older:
            torch._foreach_add_(*map(list, zip(*older, strict=True)))
        for (copy, weight), new in zip(learned, exact, strict=True):
            weight.grad = new if weight.grad is None else weight.grad
            copy.grad = None
