"""Scores against training examples and against steps, and losses per task: what `glue curve` draws."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from glue_harness.core.plan import FIELDS
from glue_harness.core.record import Record
from glue_harness.metrics.selection import is_defined
from glue_harness.report.board import metrics_of
from glue_harness.report.comparison import Side
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

BINS = 60  # points of a loss curve: one update's loss tells little


class Point(NamedTuple):
    x: float
    y: float  # mean over seeds
    deviation: float | None = None  # over seeds


@dataclass(frozen=True)
class Line:
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    has_few_points: bool = False  # each is worth a mark and a place on an axis of ratios
    falls_by_ratios: bool = False  # from 10 to 1 is as far as from 1 to 0.1


def against_examples(sides: Sequence[Side], registry: Registry, tasks: Sequence[str]) -> list[Chart]:
    """The final score over the number of training examples: a line for each way to train."""
    lines: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for side, name in zip(sides, labels(sides, but="train_limit"), strict=True):
        for task in of_interest(side, tasks, registry, lambda record: record.scores):
            trainer = registry.trainer(registry.tasks[task]).name if task in registry.tasks else task
            sizes = [record.mix[trainer]["rows"] for record in side.records if trainer in record.mix]
            values = [mean(metrics_of(record).get(task, {})) for record in side.records]
            values = [value for value in values if value is not None]
            if sizes and values:
                lines[task, name].append(point(statistics.fmean(sizes), values))
    return charts(lines, registry, "training examples", "score", has_few_points=True)


def against_steps(sides: Sequence[Side], registry: Registry, tasks: Sequence[str]) -> list[Chart]:
    """What chose the steps, over steps."""
    lines: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for side, name in zip(sides, labels(sides), strict=True):
        for task in of_interest(side, tasks, registry, lambda record: record.history):
            at: dict[float, list[float]] = defaultdict(list)
            for record in side.records:
                for step, found in record.history.get(task, ()):
                    if (value := mean(found)) is not None:
                        at[step].append(value)
            lines[task, name] = [point(step, at[step]) for step in sorted(at)]
    selected = {side.plan.select for side in sides}
    score = "score on held-out train" if selected == {"heldout"} else "score"
    return charts(lines, registry, "steps", score)


def losses(sides: Sequence[Side], store: Store, registry: Registry, tasks: Sequence[str]) -> list[Chart]:
    """Training loss of each task over steps, each point a mean over some updates and all seeds."""
    lines: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for side, name in zip(sides, labels(sides), strict=True):
        width = max(1, side.plan.steps / BINS)
        bins: dict[str, dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
        for record in side.records:
            for entry in store.read_train(record.id):
                for task, loss in losses_in(entry, record).items():
                    bins[task][int(entry["step"] / width)].append((entry["step"], loss))
        for task in wanted(bins, tasks, registry):
            means = (map(statistics.fmean, zip(*bins[task][k], strict=True)) for k in sorted(bins[task]))
            lines[task, name] = [Point(*found) for found in means]
    return [
        replace(chart, falls_by_ratios=all(p.y > 0 for line in chart.lines for p in line.points))
        for chart in charts(lines, registry, "steps", "training loss per target token")
    ]


def losses_in(entry: Mapping[str, Any], record: Record) -> dict[str, float]:
    """Of an update: per task, or the whole update's where a run trains one task."""
    found = entry.get("task_losses") or {}
    if not found and len(record.mix) == 1:
        found = {next(iter(record.mix)): entry.get("loss")}
    return {task: loss for task, loss in found.items() if isinstance(loss, int | float)}


def charts(
    lines: Mapping[tuple[str, str], Sequence[Point]], registry: Registry, x: str, y: str, has_few_points: bool = False
) -> list[Chart]:
    """One chart with a line a task; a chart a task where there are several ways to train."""
    drawn = {at: tuple(sorted(points)) for at, points in lines.items() if points}
    if len({name for _, name in drawn}) <= 1:
        of_tasks = tuple(Line(title(task, registry), points) for (task, _), points in drawn.items())
        return [Chart("", x, y, of_tasks, has_few_points)] if of_tasks else []
    return [
        Chart(
            title(task, registry),
            x,
            y,
            tuple(Line(name, points) for (of, name), points in drawn.items() if of == task),
            has_few_points,
        )
        for task in dict.fromkeys(task for task, _ in drawn)
    ]


def labels(sides: Sequence[Side], but: str = "") -> list[str]:
    """How each experiment differs from the others in its plan, in few words; runs of one task each do not."""
    plans = [side.plan.to_dict() for side in sides]
    differing = [key for key in FIELDS if any(plan[key] != plans[0][key] for plan in plans)]
    words = [[f"{key} {short(plan[key])}" for key in differing if key not in ("seed", "tasks", but)] for plan in plans]
    if "tasks" in differing and any(len(side.records[0].mix) > 1 for side in sides):
        for side, found in zip(sides, words, strict=True):
            found.insert(0, ",".join(side.plan.tasks) if len(side.records[0].mix) > 1 else "alone")
    return [", ".join(found) for found in words]


def short(value: Any) -> str:
    """A setting without the folders of its path."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("\\", "/").rstrip("/").rpartition("/")[2]


def of_interest(
    side: Side, tasks: Sequence[str], registry: Registry, kept: Callable[[Record], Iterable[str]]
) -> list[str]:
    return wanted(dict.fromkeys(name for record in side.records for name in kept(record)), tasks, registry)


def wanted(found: Iterable[str], tasks: Sequence[str], registry: Registry) -> list[str]:
    """What was asked for, in the order of the official tables; a task also stands for the tasks that score it."""
    asked = {registry.task(name).name for name in tasks}
    asked |= {scorer.name for name in asked for scorer in registry.scorers(registry.tasks[name])}
    places = {name: (task.suite, task.place, name) for name, task in registry.tasks.items()}
    return sorted((n for n in found if not tasks or n in asked), key=lambda n: places.get(n, ("", 0, n)))


def title(task: str, registry: Registry) -> str:
    return registry.tasks[task].title or task if task in registry.tasks else task


def mean(values: Mapping[str, float | None]) -> float | None:
    """A task's score is the mean of its metrics, as T5 averages them."""
    defined = [value for value in values.values() if is_defined(value)]
    return statistics.fmean(defined) if defined else None


def point(x: float, values: Sequence[float]) -> Point:
    return Point(x, statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
