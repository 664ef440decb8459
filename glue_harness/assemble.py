"""From a plan to everything a run needs: tasks, rows, examples, mix, model, machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from glue_harness import data, device, mixing
from glue_harness.batching import Feed
from glue_harness.data import Rows
from glue_harness.errors import DataError, GlueError, UsageError
from glue_harness.methods import Method, load_method
from glue_harness.models import Model, count_parameters, load_model
from glue_harness.plan import Plan
from glue_harness.registry import Registry
from glue_harness.sampler import Sampler
from glue_harness.task import Example, Task


@dataclass(frozen=True)
class Chosen:
    """The tasks a plan names, by what is done with them."""

    trained: tuple[Task, ...]
    groups: dict[str, tuple[Task, ...]]  # task -> the tasks that score it, and choose its checkpoint together
    notes: tuple[str, ...]

    @property
    def scored(self) -> list[Task]:
        return [task for group in self.groups.values() for task in group]


@dataclass(frozen=True)
class Setup:
    """All that is made before the first step."""

    plan: Plan
    chosen: Chosen
    rows: dict[str, dict[str, Rows]]  # task -> role -> rows
    training: dict[str, list[Example]]
    scoring: dict[str, list[Example]]
    rates: dict[str, float]  # task -> how often it is drawn, relative to the others
    model: Model
    method: Method
    parameters: list[nn.Parameter]
    machine: device.Machine
    feed: Feed

    @property
    def mix(self) -> dict[str, dict[str, Any]]:
        """What the plan's steps will see of each task."""
        sizes = {name: len(examples) for name, examples in self.training.items()}
        found = mixing.shares(sizes, self.rates, self.plan.steps * self.plan.batch_size)
        return {name: share._asdict() for name, share in found.items()}


def choose_tasks(plan: Plan, registry: Registry) -> Chosen:
    """What the plan trains and what scores it. Names are checked here, before anything is read."""
    selected = registry.select(plan.tasks)
    trained = tuple(task for task in selected if "train" in task.splits)
    if not trained:
        names = ", ".join(task.name for task in selected)
        raise UsageError(f"nothing to train on: {names} has no train split; see glue tasks")
    groups, notes = {}, []
    for task in selected:
        scorers = tuple(s for s in registry.scorers(task) if "validation" in s.splits and s.metrics)
        if scorers:
            groups[task.name] = scorers
        elif "train" in task.splits:
            notes.append(f"{task.name} is trained on but not scored: it has no labelled validation split")
        else:
            notes.append(f"{task.name} has hidden labels only: it is neither trained on nor scored")
    for suite in plan.tasks:
        left_out = set(registry.suites.get(f"{suite}-all", ())) - {task.name for task in selected}
        if suite in registry.suites and left_out:
            names = ", ".join(sorted(left_out))
            notes.append(f"{suite} leaves out {names}, as T5 does: neither trained on nor in the average")
    return Chosen(trained, groups, tuple(notes))


def load_rows(plan: Plan, chosen: Chosen) -> dict[str, dict[str, Rows]]:
    """The rows of every task, or one error for all that are missing."""
    wanted = [(task, "train") for task in chosen.trained] + [(task, "validation") for task in chosen.scored]
    found: dict[str, dict[str, Rows]] = {}
    failed: dict[str, GlueError] = {}
    for task, role in wanted:
        try:
            found.setdefault(task.name, {})[role] = data.load(task, role, plan.data, revision=plan.revision)
        except (DataError, UsageError) as error:
            failed.setdefault(task.name, error)
    if len(failed) > 1:
        first = next(iter(failed.values()))
        raise DataError(f"no usable data for {len(failed)} tasks ({', '.join(failed)}); the first: {first}")
    for error in failed.values():
        raise error
    return found


def examples_of(task: Task, rows: Sequence[Any]) -> list[Example]:
    return [example for number, row in enumerate(rows) for example in task.examples(row, number)]


def assemble(plan: Plan, chosen: Chosen) -> Setup:
    """Loads and builds in the order in which mistakes are cheapest."""
    method = load_method(plan.method)
    rows = load_rows(plan, chosen)
    training = {task.name: examples_of(task, rows[task.name]["train"]) for task in chosen.trained}
    for name, examples in training.items():
        if not examples:
            raise DataError(f"{name}: no training example is left after T5's preprocessing")
    total = sum(map(len, training.values()))
    if plan.batch_size > total:
        raise UsageError(f"batch_size {plan.batch_size} is larger than the data ({total} examples): use --batch-size")
    scoring = {task.name: examples_of(task, rows[task.name]["validation"]) for task in chosen.scored}
    sizes = {name: len(examples) for name, examples in training.items()}
    rates = mixing.rates(plan.mixing, sizes, plan.limit, plan.temperature, custom=plan.rates)
    shares = mixing.probabilities(rates)
    model = load_model(plan, (text for e in training.values() for x in e for text in (x.inputs, x.target)))
    set_dropout(model.module, plan.dropout)
    parameters = method.prepare(model, plan)
    machine = device.choose(plan, count_parameters(model.module)["total"])
    model.module.to(machine.device)
    sampler = Sampler(plan.seed, list(sizes.values()), [shares[name] for name in sizes])
    feed = Feed(model, training, sampler, plan.batch_size, plan.micro_batch)
    return Setup(plan, chosen, rows, training, scoring, rates, model, method, parameters, machine, feed)


def set_dropout(module: nn.Module, rate: float | None) -> None:
    if rate is not None:
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = rate
