"""The training loop. It knows the model's interface and a feed; everything else hangs on hooks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from glue_harness.batching import Feed, Update
from glue_harness.device import Machine
from glue_harness.errors import GlueError
from glue_harness.methods import Method
from glue_harness.models import Model
from glue_harness.optim import learning_rate
from glue_harness.plan import Plan


@dataclass
class State:
    """Where a run stands after a step."""

    step: int = 0  # updates done
    loss: float = math.nan  # mean over target tokens of the last update
    lr: float = 0.0
    gradient_norm: float = math.nan
    examples: int = 0
    tokens: int = 0  # padded input tokens seen
    seen: Counter[str] = field(default_factory=Counter)  # task -> examples


class Hook(NamedTuple):
    """Work done after every so many steps, and after the last one."""

    every: int
    do: Callable[[State], None]


def train(
    model: Model,
    method: Method,
    parameters: Sequence[nn.Parameter],
    optimizer: Optimizer,
    feed: Feed,
    plan: Plan,
    machine: Machine,
    hooks: Sequence[Hook],
) -> State:
    """Runs the plan's steps and calls each hook when it is due."""
    state, rate = State(), learning_rate(plan)
    for step in range(plan.steps):
        if hasattr(method, "on_step"):
            method.on_step(model, plan, step)
        update = feed.update(step)
        set_rate(optimizer, rate(step))

        torch.manual_seed(hash_seed(plan.seed, step))  # dropout is a function of the step, not of history
        model.module.train()
        loss = accumulate(model, update, machine)
        norm = clip(parameters, plan.clip)
        check_finite(loss, norm, step, update)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        advance(state, update, loss, norm, rate(step))
        for hook in hooks:
            if state.step % hook.every == 0 or state.step == plan.steps:
                hook.do(state)
    return state


def accumulate(model: Model, update: Update, machine: Machine) -> float:
    """Gradients of the mean loss over the update's target tokens, however many passes it takes."""
    total = 0.0
    for part in update.passes:
        batch = model.collate(part, machine.device)
        with machine.autocast():
            loss = model.loss(batch)
        (loss.total / update.tokens).backward()
        total += loss.total.item()
    return total / update.tokens


def clip(parameters: Sequence[nn.Parameter], limit: float | None) -> float:
    """Scales the gradient down to the limit and tells the norm it had."""
    return nn.utils.clip_grad_norm_(parameters, limit or math.inf).item()


def check_finite(loss: float, norm: float, step: int, update: Update) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        ids = update.ids
        names = ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")
        raise GlueError(f"loss {loss} (gradient norm {norm}) at step {step + 1} on {names}: try a smaller --lr")


def set_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def advance(state: State, update: Update, loss: float, norm: float, rate: float) -> None:
    state.step += 1
    state.loss, state.gradient_norm, state.lr = loss, norm, rate
    state.examples += update.examples
    state.tokens += update.padded
    state.seen.update(update.counts)


def hash_seed(seed: int, step: int) -> int:
    """One number for a pair, far apart for neighbours."""
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 1) % 2**63
