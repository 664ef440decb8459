"""Adafactor as T5 was trained: no momentum, factored second moment, steps relative to the parameter's size.

With G the gradient, n the step from 1 and decay = 1 - n^-0.8, for a matrix whose sides both reach 128:

    R <- lerp(R, row means of G^2 + 1e-30, 1 - decay), C likewise with column means
    U = G / sqrt(R C / mean(R)),   parameter <- parameter - lr max(RMS(parameter), 1e-3) U / max(RMS(U), 1)

and for any other parameter with the whole second moment instead of R C / mean(R). `torch.optim.Adafactor` and
transformers' factor every matrix, and torch's reads two numbers a parameter from the device in each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from glue_harness.core.plan import Plan

FACTORED_FROM = 128  # T5 keeps row and column means of the second moment where two dimensions reach this
MOMENT, ROWS, COLUMNS = "moment", "rows", "columns"  # of a parameter's state: the first, or the other two


def make(plan: Plan, groups: Sequence[dict[str, Any]]) -> Optimizer:
    return Adafactor(groups, lr=plan.lr)


class Adafactor(Optimizer):
    """`stacked`: parameters of one shape and one rate are moved together. On CUDA that starts a few operations for each
    such group instead of twenty for each parameter; on a CPU it is slower. None: on CUDA only."""

    def __init__(self, parameters: Iterable[Any], lr: float, stacked: bool | None = None) -> None:
        super().__init__(parameters, {"lr": lr})
        self.stacked = stacked

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            for alike in self._together(learning):
                self._update(alike, group["lr"])

    def _together(self, learning: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
        """Parameters of one shape that have taken as many steps; each by itself where nothing is stacked."""
        stacked = self.stacked if self.stacked is not None else any(p.device.type == "cuda" for p in learning)
        if not stacked:
            return [[parameter] for parameter in learning]

        def kind(parameter: nn.Parameter) -> tuple[tuple[int, ...], int]:
            return tuple(parameter.shape), self.state[parameter].get("step", 0)

        return [list(alike) for _, alike in groupby(sorted(learning, key=kind), key=kind)]

    def _update(self, alike: Sequence[nn.Parameter], lr: float) -> None:
        states = [self.state[parameter] for parameter in alike]
        step = states[0].get("step", 0)
        gradients = _stack([_exact(parameter.grad) for parameter in alike])
        updates = _scaled(gradients, states, decay=1 - (step + 1) ** -0.8)
        updates /= _along(_rms(updates), updates).clamp(min=1.0)
        sizes = torch.stack(_rms_of_each(alike)).clamp(min=1e-3)
        torch._foreach_sub_(list(alike), list((updates * lr * _along(sizes, updates)).unbind()))
        for state in states:
            state["step"] = step + 1


def _scaled(gradients: Tensor, states: Sequence[dict[str, Tensor]], decay: float) -> Tensor:
    """Gradients over the roots of their running second moments; the first dimension numbers the parameters."""
    squares = gradients.square() + 1e-30
    if sum(size >= FACTORED_FROM for size in gradients.shape[1:]) < 2:
        return gradients * _moved(states, MOMENT, squares, decay).rsqrt()
    row_means = _moved(states, ROWS, squares.mean(-1), decay)
    column_means = _moved(states, COLUMNS, squares.mean(-2), decay)
    row_factors = (row_means / row_means.mean(-1, keepdim=True)).rsqrt().unsqueeze(-1)
    return gradients * row_factors * column_means.rsqrt().unsqueeze(-2)


def _moved(states: Sequence[dict[str, Tensor]], name: str, towards: Tensor, decay: float) -> Tensor:
    """Running means, each in the state of its parameter, moved on and stacked."""
    news = list(towards.unbind())
    for state, new in zip(states, news, strict=True):
        if name not in state:
            state[name] = torch.zeros_like(new)
    means = [state[name] for state in states]
    torch._foreach_lerp_(means, news, 1 - decay)
    return _stack(means)


def _exact(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)) if len(tensors) > 1 else tensors[0][None]  # one needs no copy


def _along(numbers: Tensor, tensors: Tensor) -> Tensor:
    """One number for each of the stacked tensors."""
    return numbers.view(-1, *[1] * (tensors.dim() - 1))


def _rms(tensors: Tensor) -> Tensor:
    """Of each of the stacked tensors. Not flattened: rows that several processes keep unevenly cannot be."""
    return tensors.square().unsqueeze(-1).mean(tuple(range(1, tensors.dim() + 1))).sqrt()


def _rms_of_each(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    if len(parameters) == 1:
        return [_exact(parameters[0]).square().mean().sqrt()]
    scale = parameters[0].numel() ** -0.5
    return torch._foreach_mul(torch._foreach_norm([_exact(parameter) for parameter in parameters]), scale)
