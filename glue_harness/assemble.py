"""From a plan to everything a run needs: tasks, rows, examples, mix, model, machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from glue_harness import checkpoint, choose, data, device, mixing
from glue_harness.batching import Feed
from glue_harness.choose import Chosen
from glue_harness.data import Rows
from glue_harness.errors import DataError, RowError, UsageError
from glue_harness.methods import Method, load_method
from glue_harness.models import Model, count_parameters, load_model
from glue_harness.plan import Plan
from glue_harness.registry import Registry
from glue_harness.sampler import Sampler
from glue_harness.task import Example, Task


@dataclass(frozen=True)
class Setup:
    """All that is made before the first step."""

    plan: Plan
    chosen: Chosen
    notes: list[str]  # what is not as the plan asked
    rows: dict[str, dict[str, Rows]]  # task -> role -> rows
    training: dict[str, list[Example]]
    scoring: dict[str, list[Example]]
    rates: dict[str, float]  # task -> how often it is drawn, relative to the others
    model: Model
    method: Method
    parameters: list[nn.Parameter]  # all that ever learn
    learn_at_first: int  # how many numbers in them the first step changes
    machine: device.Machine
    feed: Feed

    @property
    def counts(self) -> dict[str, int]:
        """The model's parameters, and how many of them the run changes."""
        return {
            "total": count_parameters(self.model.module.parameters()),
            "trainable": count_parameters(self.parameters),
        }

    @property
    def mix(self) -> dict[str, dict[str, Any]]:
        """What the plan's steps will see of each task."""
        sizes = {name: len(examples) for name, examples in self.training.items()}
        found = mixing.shares(sizes, self.rates, self.plan.steps * self.plan.batch_size)
        return {name: share._asdict() for name, share in found.items()}


def load_rows(plan: Plan, chosen: Chosen) -> tuple[dict[str, dict[str, Rows]], list[str]]:
    """The rows of every task and what was left out; one error for all that are missing.

    A companion, which a suite trains on but does not average, may be missing: the official download lacks DPR.
    """
    wanted = [(task, "train") for task in chosen.trained] + [(task, "validation") for task in chosen.scored]
    found: dict[str, dict[str, Rows]] = {}
    failed: dict[str, DataError] = {}
    notes = []
    for task, role in wanted:
        try:
            found.setdefault(task.name, {})[role] = data.load(task, role, plan.data, revision=plan.revision)
        except DataError as error:
            if task.part == "companion" and task.name not in plan.tasks:
                notes.append(f"{task.name} is left out of the training mix: {error}")
            else:
                failed.setdefault(task.name, error)
    if len(failed) > 1:
        first = next(iter(failed.values()))
        raise DataError(f"no usable data for {len(failed)} tasks ({', '.join(failed)}); the first: {first}")
    for error in failed.values():
        raise error
    return {name: roles for name, roles in found.items() if roles}, notes


def examples_of(task: Task, rows: Rows) -> list[Example]:
    """All examples of a split; a row that T5's rule cannot take is named with its place."""
    examples: list[Example] = []
    for number, row in enumerate(rows):
        try:
            examples += task.examples(row, number)
        except RowError as error:
            raise DataError(f"{task.name}, row {number + 1} of {rows.origin}: {error}") from None
    return examples


def assemble(plan: Plan, registry: Registry, chosen: Chosen) -> Setup:
    """Loads and builds in the order in which mistakes are cheapest."""
    method = load_method(plan.method)
    if (Path(plan.model) / checkpoint.PART).exists():
        raise UsageError(
            f"model {plan.model!r} holds only what was trained of another model: "
            "start from a run that trained all of it"
        )
    place = device.choose(plan)
    rows, notes = load_rows(plan, chosen)
    training = {t.name: examples_of(t, rows[t.name]["train"]) for t in chosen.trained if t.name in rows}
    for name, examples in training.items():
        if not examples:
            raise DataError(f"{name}: no training example is left after T5's preprocessing")
    total = sum(map(len, training.values()))
    if plan.batch_size > total:
        raise UsageError(f"batch_size {plan.batch_size} is larger than the data ({total} examples): use --batch-size")
    scoring = {task.name: examples_of(task, rows[task.name]["validation"]) for task in chosen.scored}
    sizes = {name: len(examples) for name, examples in training.items()}
    rates = choose.rates(plan, registry, sizes)
    shares = mixing.probabilities(rates)
    model = load_model(plan, (text for e in training.values() for x in e for text in (x.inputs, x.target)))
    noise = {task.name: task.noise for task in chosen.trained if task.noise and task.name in training}
    if noise and not model.has_sentinels:
        raise UsageError(f"model {plan.model!r} has no sentinels, which {', '.join(noise)} needs: use a T5 or a ByT5")
    set_dropout(model.module, plan.dropout)
    parameters = method.prepare(model, plan)
    learn_at_first = count_parameters(p for p in parameters if p.requires_grad)
    machine = device.set_up(plan, place, count_parameters(model.module.parameters()))
    model.module.to(machine.device)
    sampler = Sampler(plan.seed, list(sizes.values()), [shares[name] for name in sizes])
    feed = Feed(model, training, sampler, plan.batch_size, plan.micro_batch, noise)
    return Setup(
        plan, chosen, notes, rows, training, scoring, rates, model, method, parameters, learn_at_first, machine, feed
    )


def set_dropout(module: nn.Module, rate: float | None) -> None:
    if rate is not None:
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = rate
