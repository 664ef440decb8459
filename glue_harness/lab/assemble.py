"""From a plan to everything a run needs: tasks, rows, examples, mix, model, machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from torch import nn

from glue_harness import data
from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import SpanNoise, Task
from glue_harness.data import Rows, mixing, subsets
from glue_harness.data.sampler import Sampler
from glue_harness.lab import request
from glue_harness.lab.portions import Asked, asked_of, held_out, texts_of, trained_tokens
from glue_harness.lab.request import Chosen
from glue_harness.methods import Method, load_method
from glue_harness.models.families import load_model
from glue_harness.models.interface import Encoded, Model, count_parameters
from glue_harness.runs.origin import Origin
from glue_harness.suite.registry import Registry
from glue_harness.train import checkpoints, device
from glue_harness.train.arrangement import arrangement
from glue_harness.train.feed import Feed, PackedFeed
from glue_harness.train.memory import Fit, find_fit
from glue_harness.train.passes import probe
from glue_harness.train.tokens import Subset, Tokens


@dataclass(frozen=True)
class Setup:
    """All that is made before the first step."""

    plan: Plan
    chosen: Chosen
    notes: list[str]  # what is not as the plan asked
    rows: dict[str, dict[str, Rows]]  # task -> role -> rows
    training: dict[str, Tokens | Subset]
    scoring: dict[str, Asked]  # task -> its validation split
    choosing: dict[str, tuple[Task, ...]]  # task -> the tasks whose scores choose its best step
    asked: dict[str, Asked]  # one of those -> what it is asked while training
    rates: dict[str, float]  # task -> how often it is drawn, relative to the others
    model: Model
    method: Method
    parameters: list[nn.Parameter]  # all that ever learn
    learn_at_first: int  # how many numbers in them the first step changes
    machine: device.Machine
    feed: Feed
    fit: Fit

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
        found = mixing.shares(sizes, self.rates, round(self.plan.steps * self.feed.examples_an_update()))
        return {name: share._asdict() for name, share in found.items()}

    @property
    def choosers(self) -> list[Task]:
        """Every task once whose score chooses a step."""
        return list({task.name: task for tasks in self.choosing.values() for task in tasks}.values())

    @property
    def selected_on(self) -> dict[str, dict[str, Any]]:
        """Which rows choose the steps, and how many examples they make."""
        held_out = self.plan.select == "heldout"
        return {
            task.name: {
                "split": "train, held out" if held_out else task.splits["validation"],
                "examples": len(self.asked[task.name].examples[: self.plan.eval_limit]),
            }
            for task in self.choosers
        }


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
            found.setdefault(task.name, {})[role] = rows_of(plan, task, role)
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


def rows_of(plan: Plan, task: Task, role: str) -> Rows:
    if plan.text is not None and task.noise:
        return data.load_text(task, plan.text)
    return data.load(task, role, plan.data, revision=plan.revision)


def assemble(plan: Plan, registry: Registry, chosen: Chosen, origin: Origin | None = None) -> Setup:
    """Loads and builds in the order in which mistakes are cheapest. `origin`: where an earlier run's model lies."""
    method = load_method(plan.method)
    if (Path(plan.model) / checkpoints.PART).exists():
        raise UsageError(
            f"model {plan.model!r} holds only what was trained of another model: "
            "start from a run that trained all of it"
        )
    place = device.choose(plan)
    rows, notes = load_rows(plan, chosen)
    train = {task.name: (task, rows[task.name]["train"]) for task in chosen.trained if task.name in rows}
    parts = subsets.parts(plan, train, chosen.groups)
    notes += subsets.described(plan, parts, {name: len(of_task) for name, (_, of_task) in train.items()})
    trained = [task for task, _ in train.values()]
    texts = chain.from_iterable(texts_of(*train[name], part.trained) for name, part in parts.items())
    model = load_model(plan.replace(model=origin.source) if origin else plan, texts)
    noise = {task.name: task.noise for task in trained if task.noise}
    if noise and not model.has_sentinels:
        raise UsageError(f"model {plan.model!r} has no sentinels, which {', '.join(noise)} needs: use a T5 or a ByT5")
    training = {name: trained_tokens(*train[name], part, model, plan, notes) for name, part in parts.items()}
    sizes = check_sizes(plan, training)
    rates = request.rates(plan, registry, sizes)
    shares = mixing.probabilities(rates)
    scoring = {t.name: asked_of(t, rows[t.name]["validation"], model, plan, notes) for t in chosen.scored}
    choosing, asked = chosen.groups, scoring
    if plan.select == "heldout":
        held = {n: held_out(n, group, train[n][1], parts[n]) for n, group in chosen.groups.items() if n in parts}
        choosing = {name: (held[name][0],) if name in held else () for name in chosen.groups}
        asked = {name: asked_of(*of_train, model, plan, notes) for name, of_train in held.items()}
    set_dropout(model.module, plan.dropout)
    parameters = method.prepare(model, plan)
    learn_at_first = count_parameters(p for p in parameters if p.requires_grad)
    machine = device.set_up(plan, place, count_parameters(model.module.parameters()))
    model.module.to(machine.device)
    sampler = Sampler(plan.seed, list(sizes.values()), [shares[name] for name in sizes])
    feed = make_feed(plan, machine, model, training, sampler, noise)
    fit = find_fit(model, machine, plan, learn_at_first)
    if machine.on_gpu and not fit.tried:  # elsewhere nothing fails for want of memory, or all does
        probe(model, machine, fit, feed, plan.max_input)
    if machine.compiled:  # not for the probe, whose shape does not come again
        model.compile()
    return Setup(
        plan=plan,
        chosen=chosen,
        notes=notes,
        rows=rows,
        training=training,
        scoring=scoring,
        choosing=choosing,
        asked=asked,
        rates=rates,
        model=model,
        method=method,
        parameters=parameters,
        learn_at_first=learn_at_first,
        machine=machine,
        feed=feed,
        fit=fit,
    )


def make_feed(
    plan: Plan,
    machine: device.Machine,
    model: Model,
    training: Mapping[str, Tokens | Subset],
    sampler: Sampler,
    noise: Mapping[str, SpanNoise],
) -> Feed:
    """Updates of so many examples, or of so many tokens in T5's own rows."""
    arrange, grid = arrangement(plan.packing, machine.on_gpu, plan.micro_batch)
    common = (model, training, sampler, plan.batch_size, arrange, grid, noise)
    if plan.batch_tokens is None:
        return Feed(*common)
    height = plan.batch_tokens // plan.max_input
    return PackedFeed(*common, lengths=(plan.max_input, plan.max_target), height=height)


def check_sizes(plan: Plan, training: Mapping[str, Sequence[Encoded]]) -> dict[str, int]:
    """How many examples each task trains on."""
    sizes = {name: len(examples) for name, examples in training.items()}
    for name, size in sizes.items():
        if not size:
            raise DataError(f"{name}: no training example is left after T5's preprocessing")
    if plan.batch_size > (total := sum(sizes.values())) and not plan.batch_tokens:
        raise UsageError(f"batch_size {plan.batch_size} is larger than the data ({total} examples): use --batch-size")
    return sizes


def set_dropout(module: nn.Module, rate: float | None) -> None:
    if rate is not None:
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = rate
