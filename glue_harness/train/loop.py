"""The training loop. It knows the model's interface and a feed; everything else hangs on hooks."""

from __future__ import annotations

import contextlib
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from glue_harness.core.errors import GlueError
from glue_harness.models.interface import Encoded, Model
from glue_harness.models.packing import FINE
from glue_harness.train.device import Machine
from glue_harness.train.feed import Feed, Update, ahead
from glue_harness.train.learner import Learner
from glue_harness.train.memory import Fit, kept_when_freed
from glue_harness.train.optimizers import learning_rate
from glue_harness.train.passes import fitting

IN_A_ROW = 3  # updates skipped one after the other end a run; so does more than this and a hundredth of all
NAMED = 4  # examples that an error lists


@dataclass
class State:
    """Where a run stands after a step."""

    step: int = 0  # updates done
    loss: float = math.nan  # mean over the terms of the last update; on a GPU it comes a little later
    lr: float = 0.0
    gradient_norm: float = math.nan
    examples: int = 0
    tokens: int = 0  # padded input tokens seen
    over: bool = False  # a hook has ended the run before the last step of its plan
    seen: Counter[str] = field(default_factory=Counter)  # task -> examples
    skipped: list[int] = field(default_factory=list)  # steps whose update was left out
    task_losses: dict[str, float] = field(default_factory=dict)  # of the last update, a mean over each task's terms


class Hook(NamedTuple):
    """Work done after every so many steps, and after the last one."""

    every: int
    do: Callable[[State], None]


class Measurement(NamedTuple):
    """What an update measured. From a GPU it is on its way for a while, and the loop does not wait for it."""

    step: int
    update: Update
    values: Tensor  # the loss of each task, summed over its terms, and the norm of the gradient
    arrived: torch.cuda.Event | None


def train(
    learner: Learner,
    feed: Feed,
    machine: Machine,
    hooks: Sequence[Hook],
    fit: Fit | None = None,
    state: State | None = None,
) -> State:
    """Runs the plan's steps, or those after `state`, and calls each hook when it is due."""
    plan, model, optimizer = learner.plan, learner.model, learner.optimizer
    assert plan.steps or plan.never_learns, "epochs become steps where the examples are counted"
    state, rate, fit = state or State(), learning_rate(plan), fit or Fit()
    if machine.compiled:  # here, so that neither a probe nor an estimate makes graphs
        model.compile()
    pending: deque[Measurement] = deque()
    steps = range(state.step, state.step if state.over else plan.steps)
    # updates are made beside a GPU's work; on a CPU another thread would only take from the one that computes
    fed = ahead(feed.update, steps) if machine.on_gpu else ((step, feed.update(step)) for step in steps)
    with contextlib.closing(fed), kept_when_freed():
        for step, update in fed:
            if hasattr(learner.method, "on_step"):
                learner.method.on_step(model, plan, step)
            for group in optimizer.param_groups:
                group["lr"] = rate(step) * group.get("scale", 1.0)
            if not model.module.training:  # it goes through every module
                model.module.train()
            own = replace(update, passes=learner.weights.passes(update.passes, machine, fit.most))
            sums = fitting(model, own, machine, fit, hash_seed(plan.seed, step), learner.run)
            sums = machine.ranks.reduce(learner.weights.unreduced(learner.parameters), sums)
            norm = learner.weights.clip(learner.parameters, plan.clip)
            pending.append(measured(step, update, sums, norm))
            ends = step + 1 == plan.steps
            due = [hook for hook in hooks if ends or (step + 1) % hook.every == 0]
            wait = ends or step == 0 or plan.on_nonfinite == "skip" or any(hook.every > 1 for hook in due)
            while len(pending) > (0 if wait else machine.lag):
                found = pending.popleft()
                if not settle(state, found):
                    skip_or_stop(state, found, learner, feed, machine)
            if state.skipped[-1:] != [step + 1]:
                if hasattr(learner.method, "on_gradients"):
                    learner.method.on_gradients(model, plan, step)
                optimizer.step()
            if hasattr(learner.method, "after_step"):
                learner.method.after_step(model, plan, step)
            optimizer.zero_grad(set_to_none=True)

            advance(state, update, rate(step))
            for hook in due:
                hook.do(state)
            if state.over:
                break
    return state


def measured(step: int, update: Update, sums: Tensor, norm: Tensor) -> Measurement:
    values = torch.cat([sums, norm.double().reshape(1)])
    if values.device.type == "cpu":
        return Measurement(step, update, values, None)
    copied = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return Measurement(step, update, copied, arrived)


def settle(state: State, found: Measurement) -> bool:
    """Waits for what was measured, and tells whether it is finite."""
    if found.arrived:
        found.arrived.synchronize()
    *sums, state.gradient_norm = found.values.tolist()
    state.loss = sum(sums) / found.update.terms
    state.task_losses = {
        name: total / terms
        for name, total, terms in zip(found.update.tasks, sums, found.update.task_terms, strict=True)
        if terms
    }
    return math.isfinite(state.loss) and math.isfinite(state.gradient_norm)


def skip_or_stop(state: State, found: Measurement, learner: Learner, feed: Feed, machine: Machine) -> None:
    """Leaves out an update that is not finite, or ends the run and names what is to blame."""
    plan, skipped = learner.plan, state.skipped
    reason = ""
    if plan.on_nonfinite == "stop":
        reason = "try a smaller --lr, or --on-nonfinite skip"
    else:
        skipped.append(found.step + 1)
        most = max(IN_A_ROW, plan.steps // 100)
        if all(found.step + 1 - k in skipped for k in range(IN_A_ROW)):
            reason = f"{IN_A_ROW} updates in a row were skipped, try a smaller --lr"
        elif len(skipped) > most:
            reason = f"more than {most} of {plan.steps:,} updates were skipped, try a smaller --lr"
    if reason:
        where = blamed(found.update.ids, feed.drawn(found.step), learner.model, machine)
        what = f"loss {state.loss} (gradient norm {state.gradient_norm}) at step {found.step + 1}"
        raise GlueError(f"{what} on {where}: {reason}")


@torch.no_grad()
def blamed(ids: Sequence[str], drawn: Sequence[Encoded], model: Model, machine: Machine) -> str:
    """The examples whose loss is not finite by themselves; all, if none is."""
    model.module.eval()
    with machine.autocast():
        losses = [model.loss(model.lay([[example]], machine.device, FINE)).total.item() for example in drawn]
    bad = [name for name, loss in zip(ids, losses, strict=True) if not math.isfinite(loss)] or ids
    tasks = ", ".join(sorted({name.partition("/")[0] for name in bad}))
    names = ", ".join(bad[:NAMED]) + (f" and {len(bad) - NAMED} more" if len(bad) > NAMED else "")
    return f"{len(bad)} of {len(ids)} examples, of {tasks}: {names}"


def advance(state: State, update: Update, rate: float) -> None:
    state.step += 1
    state.lr = rate
    state.examples += update.examples
    state.tokens += update.padded
    state.seen.update(update.counts)


def hash_seed(seed: int, step: int) -> int:
    """One number for a pair, far apart for neighbours."""
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 1) % 2**63
