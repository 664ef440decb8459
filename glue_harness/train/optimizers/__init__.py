"""Optimisers, one file each, and how their learning rate goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import Optimizer

from glue_harness.core.plan import Plan
from glue_harness.core.settings import load_plugin


def make_optimizer(plan: Plan, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The plan's optimiser: a file here defines `make(plan, parameters)` and, where it has any, `SETTINGS`."""
    return load_plugin("optimizer", plan.optimizer).make(plan, list(parameters))


def learning_rate(plan: Plan) -> Callable[[int], float]:
    """The rate of a step: a linear rise over `warmup` steps, then constant or a linear fall to 0."""

    def rate(step: int) -> float:
        if step < plan.warmup:
            return plan.lr * (step + 1) / plan.warmup
        if plan.schedule == "constant":
            return plan.lr
        return plan.lr * (plan.steps - step) / max(1, plan.steps - plan.warmup)

    return rate
