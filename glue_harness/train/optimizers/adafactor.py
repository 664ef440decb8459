"""Adafactor as T5 was trained: no momentum, factored second moment, steps relative to the parameter's size."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from glue_harness.core.plan import Plan

FACTORED_FROM = 128  # T5 keeps row and column means of the second moment where two dimensions reach this


def make(plan: Plan, parameters: list[nn.Parameter]) -> Optimizer:
    return Adafactor(parameters, lr=plan.lr)


class Adafactor(Optimizer):
    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"])

    def _update(self, parameter: nn.Parameter, lr: float) -> None:
        state = self.state[parameter]
        step = state.get("step", 0)
        update = self._scaled(parameter.grad.float(), state, decay=1 - (step + 1) ** -0.8)
        update /= (_rms(update)).clamp(min=1.0)
        parameter.sub_(update * lr * _rms(parameter).clamp(min=1e-3))
        state["step"] = step + 1

    def _scaled(self, gradient: Tensor, state: dict[str, Tensor], decay: float) -> Tensor:
        """The gradient over the root of its running second moment."""
        square = gradient.square() + 1e-30
        if sum(size >= FACTORED_FROM for size in gradient.shape) < 2:
            moment = state.setdefault("moment", torch.zeros_like(square)).lerp_(square, 1 - decay)
            return gradient * moment.rsqrt()
        rows = state.setdefault("rows", torch.zeros_like(square.mean(-1))).lerp_(square.mean(-1), 1 - decay)
        columns = state.setdefault("columns", torch.zeros_like(square.mean(-2))).lerp_(square.mean(-2), 1 - decay)
        row_factor = (rows / rows.mean(-1, keepdim=True)).rsqrt().unsqueeze(-1)
        return gradient * row_factor * columns.rsqrt().unsqueeze(-2)


def _rms(values: Tensor) -> Tensor:
    return values.float().square().mean().sqrt()
