"""T5's way from many scores to few: the best step of a task, the average of a suite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple, TypeGuard

from glue_harness.core.record import Score
from glue_harness.core.task import Task
from glue_harness.suite.registry import Registry

MetricValues = Mapping[str, float | None]  # metric key -> value, None or NaN where undefined
Members = Sequence[Sequence[tuple[str, str]]]  # of an average: each with its values, a task and a metric key
History = Iterable[tuple[int, MetricValues]]  # a task's scores as training went on


def best_step(tasks: Sequence[Task], histories: Mapping[str, History]) -> int | None:
    """The step that is best for tasks that are scored together; None if a value was never measured.

    It has the highest mean over all defined values, and is the earliest such step.
    """
    tables = [by_step(histories.get(task.name, ())) for task in tasks]
    for task, table in zip(tasks, tables, strict=True):
        if not set(task.keys) <= {key for values in table.values() for key in values}:
            return None

    def mean_at(step: int) -> float:
        found = [value for table in tables for value in table.get(step, {}).values() if is_defined(value)]
        return fmean(found) if found else -math.inf  # of steps without any defined value, one is best all the same

    return max(sorted({step for table in tables for step in table}), key=mean_at, default=None)


class Wait(NamedTuple):
    """How long nothing got better."""

    evaluations: int  # since the best one
    step: int  # of the best one
    mean: float


def wait_of(groups: Iterable[Sequence[Task]], histories: Mapping[str, History]) -> Wait:
    """Since the mean over groups of tasks, of the mean over each one's values, was highest. Undefined counts as 0."""
    tables = [[by_step(histories.get(task.name, ())) for task in tasks] for tasks in groups if tasks]
    steps = sorted({step for of_group in tables for table in of_group for step in table})

    def mean_at(step: int) -> float:
        values = [[value or 0.0 for table in group for value in table.get(step, {}).values()] for group in tables]
        return fmean(fmean(of_group) if of_group else 0.0 for of_group in values)

    if not steps:
        return Wait(0, 0, 0.0)
    best = max(steps, key=mean_at)
    return Wait(len(steps) - 1 - steps.index(best), best, mean_at(best))


def by_step(history: History) -> dict[int, dict[str, float | None]]:
    """Values by step; of two for the same step the larger one counts."""
    table: dict[int, dict[str, float | None]] = {}
    for step, values in history:
        at = table.setdefault(step, {})
        for key, value in values.items():
            at[key] = max(filter(is_defined, (at.get(key), value)), default=None)
    return table


def answering_step(registry: Registry, scores: Mapping[str, Score], task: Task) -> int | None:
    """The step whose checkpoint answers a task in a run with these scores; None if the run trained nothing for it."""
    scorers = (task, *registry.scorers(registry.trainer(task)))
    return next((scores[scorer.name].step for scorer in scorers if scorer.name in scores), None)


def averaged(registry: Registry, suite: str) -> list[Task]:
    """The tasks of a suite that its average is over."""
    return [task for name in registry.suites[suite] if (task := registry.tasks[name]).part == "member"]


def members_of(registry: Registry, tasks: Iterable[Task]) -> Members:
    """What an average over these tasks is made of: of each, the values that score it."""
    return [[(scorer.name, key) for scorer in registry.scorers(task) for key in scorer.keys] for task in tasks]


def suite_average(registry: Registry, suite: str, scores: Mapping[str, MetricValues]) -> float | None:
    """The mean over a suite's members of the mean over all values that score the member; None if one is missing."""
    return average_of(members_of(registry, averaged(registry, suite)), scores)


def average_of(members: Members, scores: Mapping[str, MetricValues]) -> float | None:
    """The mean over members of the mean over their values; None if one is missing."""
    found = [[scores.get(task, {}).get(key) for task, key in values] for values in members]
    defined = [[value for value in values if is_defined(value)] for values in found]
    return fmean(map(fmean, defined)) if found and all(found) and defined == found else None


def is_defined(value: float | None) -> TypeGuard[float]:
    return value is not None and not math.isnan(value)
