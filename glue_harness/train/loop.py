"""The training loop. It knows the model's interface and a feed; everything else hangs on hooks."""

from __future__ import annotations

import contextlib
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from glue_harness.core.errors import GlueError
from glue_harness.core.plan import Plan
from glue_harness.methods import Method
from glue_harness.models.interface import Encoded, Model
from glue_harness.train.device import Machine
from glue_harness.train.feed import Feed, Update, ahead
from glue_harness.train.memory import Fit
from glue_harness.train.optimizers import learning_rate
from glue_harness.train.passes import fitting

IN_A_ROW = 3  # updates skipped one after the other end a run; so does more than this and a hundredth of all
NAMED = 4  # examples that an error lists


@dataclass
class State:
    """Where a run stands after a step."""

    step: int = 0  # updates done
    loss: float = math.nan  # mean over target tokens of the last update; on a GPU it comes a little later
    lr: float = 0.0
    gradient_norm: float = math.nan
    examples: int = 0
    tokens: int = 0  # padded input tokens seen
    seen: Counter[str] = field(default_factory=Counter)  # task -> examples
    skipped: list[int] = field(default_factory=list)  # steps whose update was left out
    task_losses: dict[str, float] = field(default_factory=dict)  # of the last update, a mean over each task's tokens


class Hook(NamedTuple):
    """Work done after every so many steps, and after the last one."""

    every: int
    do: Callable[[State], None]


class Reading(NamedTuple):
    """What an update measured. From a GPU it is on its way for a while, and the loop does not wait for it."""

    step: int
    update: Update
    values: Tensor  # the loss of each task, summed over its target tokens, and the norm of the gradient
    arrived: torch.cuda.Event | None


def train(
    model: Model,
    method: Method,
    parameters: Sequence[nn.Parameter],
    optimizer: Optimizer,
    feed: Feed,
    plan: Plan,
    machine: Machine,
    hooks: Sequence[Hook],
    fit: Fit | None = None,
    state: State | None = None,
) -> State:
    """Runs the plan's steps, or those after `state`, and calls each hook when it is due."""
    state, rate, fit = state or State(), learning_rate(plan), fit or Fit()
    readings: deque[Reading] = deque()
    with contextlib.closing(updates(feed, range(state.step, plan.steps), machine)) as fed:
        for step, update in fed:
            if hasattr(method, "on_step"):
                method.on_step(model, plan, step)
            set_rate(optimizer, rate(step))
            model.module.train()
            sums = fitting(model, update, machine, fit, hash_seed(plan.seed, step))
            norm = clip(parameters, plan.clip)
            readings.append(reading(step, update, sums, norm))
            ends = step + 1 == plan.steps
            due = [hook for hook in hooks if ends or (step + 1) % hook.every == 0]
            wait = ends or step == 0 or plan.on_nonfinite == "skip" or any(hook.every > 1 for hook in due)
            while len(readings) > (0 if wait else machine.lag):
                if fault := settle(state, readings.popleft()):
                    skip_or_stop(state, fault, plan, model, feed, machine)
            if state.skipped[-1:] != [step + 1]:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)

            advance(state, update, rate(step))
            for hook in due:
                hook.do(state)
    return state


def updates(feed: Feed, steps: Iterable[int], machine: Machine) -> Iterator[tuple[int, Update]]:
    """Made beside a GPU's work; on a CPU another thread would only take from the one that computes."""
    return ahead(feed.update, steps) if machine.on_gpu else ((step, feed.update(step)) for step in steps)


def clip(parameters: Sequence[nn.Parameter], limit: float | None) -> Tensor:
    """Scales the gradient down to the limit and tells the norm it had."""
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in learning])
    if limit and (norm.device.type != "cpu" or norm > limit):  # asking a GPU would mean to wait for it
        nn.utils.clip_grads_with_norm_(learning, limit, norm)
    return norm


def reading(step: int, update: Update, sums: Tensor, norm: Tensor) -> Reading:
    values = torch.cat([sums, norm.double().reshape(1)])
    if values.device.type == "cpu":
        return Reading(step, update, values, None)
    copied = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return Reading(step, update, copied, arrived)


def settle(state: State, found: Reading) -> Reading | None:
    """Waits for what was measured, and gives it back if it is not finite."""
    if found.arrived:
        found.arrived.synchronize()
    *sums, state.gradient_norm = found.values.tolist()
    state.loss = sum(sums) / found.update.tokens
    state.task_losses = {
        name: total / tokens
        for name, total, tokens in zip(found.update.tasks, sums, found.update.target_tokens, strict=True)
        if tokens
    }
    return None if is_finite(state.loss, state.gradient_norm) else found


def skip_or_stop(state: State, found: Reading, plan: Plan, model: Model, feed: Feed, machine: Machine) -> None:
    """Leaves out an update that is not finite, or ends the run and names what is to blame."""
    if plan.on_nonfinite == "skip":
        state.skipped.append(found.step + 1)
    if reason := too_many(state.skipped, plan):
        where = blamed(found.update.ids, feed.drawn(found.step), model, machine)
        what = f"loss {state.loss} (gradient norm {state.gradient_norm}) at step {found.step + 1}"
        raise GlueError(f"{what} on {where}: {reason}")


def is_finite(*values: float) -> bool:
    return all(map(math.isfinite, values))


def too_many(skipped: Sequence[int], plan: Plan) -> str:
    """Why a run ends at an update that is not finite, with the fix; nothing if the plan skips them and they are few."""
    if plan.on_nonfinite == "stop":
        return "try a smaller --lr, or --on-nonfinite skip"
    if all(skipped[-1] - k in skipped for k in range(IN_A_ROW)):
        return f"{IN_A_ROW} updates in a row were skipped, try a smaller --lr"
    most = max(IN_A_ROW, plan.steps // 100)
    return f"more than {most} of {plan.steps:,} updates were skipped, try a smaller --lr" if len(skipped) > most else ""


def blamed(ids: Sequence[str], drawn: Sequence[Encoded], model: Model, machine: Machine) -> str:
    """The examples whose loss is not finite by themselves; all, if none is."""
    alone = [name for name, example in zip(ids, drawn, strict=True) if not is_finite(loss_of(example, model, machine))]
    bad = alone or ids
    tasks = ", ".join(sorted({name.partition("/")[0] for name in bad}))
    names = ", ".join(bad[:NAMED]) + (f" and {len(bad) - NAMED} more" if len(bad) > NAMED else "")
    return f"{len(bad)} of {len(ids)} examples, of {tasks}: {names}"


@torch.no_grad()
def loss_of(example: Encoded, model: Model, machine: Machine) -> float:
    model.module.eval()
    with machine.autocast():
        return model.loss(model.collate([example], machine.device)).total.item()


def check_weights(model: Model, when: str) -> None:
    """Weights that are not finite make every later number worthless: none may be scored or kept."""
    bad = [name for name, weight in model.module.named_parameters() if not weight.isfinite().all()]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise GlueError(f"weights {when} are not finite: {bad[0]}{more}")


def set_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def advance(state: State, update: Update, rate: float) -> None:
    state.step += 1
    state.lr = rate
    state.examples += update.examples
    state.tokens += update.padded
    state.seen.update(update.counts)


def hash_seed(seed: int, step: int) -> int:
    """One number for a pair, far apart for neighbours."""
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 1) % 2**63
