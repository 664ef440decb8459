"""Scores against training examples and against steps, and losses per task: what `glue curve` draws."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from glue_harness.metrics.selection import is_defined
from glue_harness.report.experiments import Experiment, differing, in_order
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

BINS = 60  # points of a loss curve: one update's loss tells little


class Point(NamedTuple):
    x: float
    y: float  # mean over seeds
    deviation: float | None = None  # over seeds


@dataclass(frozen=True)
class Curve:
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    has_few_points: bool = False  # each is worth a mark and a place on an axis of ratios
    falls_by_ratios: bool = False  # from 10 to 1 is as far as from 1 to 0.1


def against_examples(experiments: Sequence[Experiment], registry: Registry, tasks: Sequence[str]) -> list[Chart]:
    """The final score over the number of training examples: a curve for each way to train."""
    curves: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for experiment, name in zip(experiments, labels(experiments, but="train_limit"), strict=True):
        records = experiment.records
        for task in wanted((name for record in records for name in record.scores), tasks, registry):
            trainer = registry.trainer(registry.tasks[task]).name if task in registry.tasks else task
            rows = [record.mix[trainer]["rows"] for record in records if trainer in record.mix]
            sizes = [size for size in rows if size is not None]
            means = [mean(record.scores[task].metrics) for record in records if task in record.scores]
            values = [value for value in means if value is not None]
            if sizes and values:
                curves[task, name].append(point(statistics.fmean(sizes), values))
    return charts(curves, registry, "training examples", "score", has_few_points=True)


def undefined_seeds(experiments: Sequence[Experiment], registry: Registry, tasks: Sequence[str]) -> list[str]:
    """Which points rest on fewer seeds than there are, because a score is undefined."""
    found = []
    for experiment in experiments:
        for task in wanted((name for record in experiment.records for name in record.scores), tasks, registry):
            scores = [record.scores[task] for record in experiment.records if task in record.scores]
            if lacking := sum(mean(score.metrics) is None for score in scores):
                title, where = registry.titles([task])[task], f"plan {experiment.records[0].digest}"
                found.append(f"{title}: undefined in {lacking} of {len(scores)} runs of {where}, left out")
    return found


def against_steps(experiments: Sequence[Experiment], registry: Registry, tasks: Sequence[str]) -> list[Chart]:
    """What chose the steps, over steps."""
    curves: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for experiment, name in zip(experiments, labels(experiments), strict=True):
        records = experiment.records
        for task in wanted((name for record in records for name in record.history), tasks, registry):
            at: dict[float, list[float]] = defaultdict(list)
            for step, values in (entry for record in records for entry in record.history.get(task, ())):
                if (value := mean(values)) is not None:
                    at[step].append(value)
            curves[task, name] = [point(step, at[step]) for step in at]
    is_held_out = all(experiment.plan.select == "heldout" for experiment in experiments)
    return charts(curves, registry, "steps", "score on held-out train" if is_held_out else "score")


def losses(experiments: Sequence[Experiment], store: Store, registry: Registry, tasks: Sequence[str]) -> list[Chart]:
    """Training loss of each task over steps, each point a mean over some updates and all seeds."""
    curves: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for experiment, name in zip(experiments, labels(experiments), strict=True):
        width = max(1, experiment.plan.steps / BINS)
        bins: dict[str, dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
        for record in experiment.records:
            for entry in store.read_train(record.id):
                found = entry.get("task_losses") or {}
                if not found and len(record.mix) == 1:  # the update's loss is that of its only task
                    found = {next(iter(record.mix)): entry.get("loss")}
                for task, loss in found.items():
                    if isinstance(loss, int | float):
                        bins[task][int(entry["step"] / width)].append((entry["step"], loss))
        for task in wanted(bins, tasks, registry):
            means = (map(statistics.fmean, zip(*of_bin, strict=True)) for of_bin in bins[task].values())
            curves[task, name] = [Point(*found) for found in means]
    return [
        replace(chart, falls_by_ratios=all(p.y > 0 for curve in chart.curves for p in curve.points))
        for chart in charts(curves, registry, "steps", f"training loss per {' or '.join(loss_terms(experiments))}")
    ]


def loss_terms(experiments: Sequence[Experiment]) -> list[str]:
    """What a loss is divided by: heads answer an example with one number, all else is learned token by token."""
    families = {r.environment.get("model", {}).get("family", "") for one in experiments for r in one.records}
    return sorted({"example" if family.startswith("encoder") else "target token" for family in families})


def charts(
    curves: Mapping[tuple[str, str], Sequence[Point]], registry: Registry, x: str, y: str, has_few_points: bool = False
) -> list[Chart]:
    """One chart with a curve a task; a chart a task where there are several ways to train."""
    drawn = {at: tuple(sorted(points)) for at, points in curves.items() if points}
    panels: dict[str, list[Curve]] = defaultdict(list)
    one_way = len({name for _, name in drawn}) <= 1
    titles = {"": "", **registry.titles({task for task, _ in drawn})}
    for (task, name), points in drawn.items():
        panels["" if one_way else task].append(Curve(titles[task] if one_way else name, points))
    return [Chart(titles[task], x, y, tuple(of_panel), has_few_points) for task, of_panel in panels.items()]


def labels(experiments: Sequence[Experiment], but: str = "") -> list[str]:
    """How each experiment differs from the others in its plan, in few words; runs of one task each do not."""
    settings = differing([experiment.plan for experiment in experiments], but=("seed", but))
    tasks = settings.pop("tasks", None)
    words = [[f"{key} {short(values[k])}" for key, values in settings.items()] for k in range(len(experiments))]
    mixed = [len(experiment.records[0].mix) > 1 for experiment in experiments]
    if tasks and any(mixed):
        for k, found in enumerate(words):
            found.insert(0, ",".join(tasks[k]) if mixed[k] else "alone")
    return [", ".join(found) for found in words]


def short(value: Any) -> str:
    """A setting without the folders of its path."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("\\", "/").rstrip("/").rpartition("/")[2]


def wanted(found: Iterable[str], tasks: Sequence[str], registry: Registry) -> list[str]:
    """What was asked for, in the order of the official tables; a task also stands for the tasks that score it."""
    asked = {registry.task(name).name for name in tasks}
    asked |= {scorer.name for name in asked for scorer in registry.scorers(registry.tasks[name])}
    return in_order({name for name in found if not tasks or name in asked}, registry)


def mean(values: Mapping[str, float | None]) -> float | None:
    """A task's score is the mean of its metrics, as T5 averages them."""
    defined = [value for value in values.values() if is_defined(value)]
    return statistics.fmean(defined) if defined else None


def point(x: float, values: Sequence[float]) -> Point:
    return Point(x, statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
