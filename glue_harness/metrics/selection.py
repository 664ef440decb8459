"""T5's way from many scores to few: the best checkpoint of a task, the average of a suite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from glue_harness.core.record import Score
from glue_harness.core.task import Task
from glue_harness.suite.registry import Registry

Values = Mapping[str, float | None]  # metric key -> value, None or NaN where undefined
History = Iterable[tuple[int, Values]]  # a task's scores as training went on


class Best(NamedTuple):
    step: int
    values: dict[str, Values]  # task -> its values at that step


def best_checkpoint(tasks: Sequence[Task], histories: Mapping[str, History]) -> Best | None:
    """The best step of tasks that are scored together, and their values at it; None if a value was never measured."""
    tables = {task.name: by_step(histories.get(task.name, ())) for task in tasks}
    for task in tasks:
        if not set(task.keys) <= {key for values in tables[task.name].values() for key in values}:
            return None
    step = best_step([histories[task.name] for task in tasks])
    return None if step is None else Best(step, {name: table.get(step, {}) for name, table in tables.items()})


def best_step(histories: Iterable[History]) -> int | None:
    """The step at which the mean over all defined values is highest, the earliest if several are."""
    tables = [by_step(history) for history in histories]
    return highest({step: mean_at(tables, step) for table in tables for step in table})


def answering_step(registry: Registry, scores: Mapping[str, Score], task: Task) -> int | None:
    """The step whose checkpoint answers a task in a run with these scores; None if the run trained nothing for it."""
    scorers = (task, *registry.scorers(registry.trainer(task)))
    return next((scores[scorer.name].step for scorer in scorers if scorer.name in scores), None)


def best_average(registry: Registry, suite: str, histories: Mapping[str, History]) -> tuple[int, float] | None:
    """The step at which the suite's average is highest, for a model tuned on all of it at once."""
    tables = {name: by_step(history) for name, history in histories.items()}
    averages = {
        step: suite_average(registry, suite, {name: at.get(step, {}) for name, at in tables.items()})
        for table in tables.values()
        for step in table
    }
    known = {step: average for step, average in averages.items() if average is not None}
    step = highest(known)
    return None if step is None else (step, known[step])


def suite_average(registry: Registry, suite: str, scores: Mapping[str, Values]) -> float | None:
    """The mean over a suite's members of the mean over all values that score the member; None if one is missing."""
    members = [registry.tasks[name] for name in registry.suites[suite]]
    found = [
        [scores.get(scorer.name, {}).get(key) for scorer in registry.scorers(task) for key in scorer.keys]
        for task in members
        if task.part == "member"
    ]
    if not all(found) or any(not is_defined(value) for values in found for value in values):
        return None
    return fmean(map(fmean, found))


def by_step(history: History) -> dict[int, dict[str, float | None]]:
    """Values by step; of two for the same step the larger one counts."""
    table: dict[int, dict[str, float | None]] = {}
    for step, values in history:
        at = table.setdefault(step, {})
        for key, value in values.items():
            at[key] = max(filter(is_defined, (at.get(key), value)), default=None)
    return table


def mean_at(tables: Sequence[Mapping[int, Values]], step: int) -> float:
    """The mean of the values that are defined at a step, the lowest possible if there is none."""
    found = [value for table in tables for value in table.get(step, {}).values() if is_defined(value)]
    return fmean(found) if found else -math.inf


def highest(scores: Mapping[int, float]) -> int | None:
    """The first step with the highest score."""
    return max(sorted(scores), key=scores.__getitem__, default=None)


def is_defined(value: float | None) -> bool:
    return value is not None and not math.isnan(value)
