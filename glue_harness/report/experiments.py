"""What is read of results: an experiment is a run, or one plan's seeds; how its plan differs from others."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan, settings
from glue_harness.core.record import Record, Score
from glue_harness.metrics.selection import suite_average
from glue_harness.runs.index import plan_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

SHORT = {  # how the tables of the field call a metric
    "accuracy": "Acc",
    "f1": "F1",
    "mean_3class_f1": "F1",
    "matthews_corrcoef": "MCC",
    "pearson_corrcoef": "Pearson",
    "spearman_corrcoef": "Spearman",
    "exact_match": "EM",
    "em": "EM",
    "rouge1": "R-1",
    "rouge2": "R-2",
    "rougeLsum": "R-L",
    "bleu": "BLEU",
}
LEAST_SEEDS = 3  # for an interval: that of two reaches far beyond any score
# Student's t, 97.5 %, for 2 to 30 degrees of freedom
T_975: tuple[float, ...] = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201)
T_975 += (2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080)
T_975 += (2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


class Stat(NamedTuple):
    """A value over seeds. The 95 % interval is across three seeds or more, or over the examples of the only one."""

    mean: float
    deviation: float | None = None  # sample standard deviation
    low: float | None = None
    high: float | None = None


def stat(values: Sequence[float], interval: Sequence[float | None] = (None, None)) -> Stat:
    """Mean over seeds; `interval` is the one to show when there is a single seed."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Stat(mean, None, *interval)
    deviation = statistics.stdev(values)
    if len(values) < LEAST_SEEDS:
        return Stat(mean, deviation)
    half = T_975[min(len(values) - LEAST_SEEDS, len(T_975) - 1)] * deviation / len(values) ** 0.5
    return Stat(mean, deviation, mean - half, mean + half)


@dataclass(frozen=True)
class Experiment:
    """A run, or the runs of one plan with different seeds."""

    name: str
    records: tuple[Record, ...]  # one a seed

    @cached_property
    def plan(self) -> Plan:
        """That of the first seed."""
        return plan_of(self.records[0])

    @property
    def seeds(self) -> list[int]:
        return [plan_of(record).seed for record in self.records]

    @property
    def facts(self) -> dict[str, Any]:
        """What a comparison of scores should not hide."""
        scores = [score for record in self.records for score in record.scores.values()]
        return {
            "data": self.plan.data,
            "select": self.plan.select,
            "steps": self.plan.steps,
            "seconds": round(statistics.fmean(record.seconds for record in self.records), 1),
            "invalid_percent": round(invalid_percent(scores), 2),
            "parameters": self.records[0].parameters.get("total"),
            "trainable": self.records[0].parameters.get("trainable"),
        }

    def stat(self, task: str, key: str) -> Stat | None:
        """A task's value over the seeds; None unless each of them has it."""
        scores = [record.scores[task] for record in self.records if task in record.scores]
        values = [value for score in scores if (value := score.metrics.get(key)) is not None]
        if len(values) < len(self.records):
            return None
        return stat(values, scores[0].intervals.get(key, (None, None)))

    def average(self, suite: str, registry: Registry) -> Stat | None:
        """A suite's average over the seeds; None unless each of them has it."""
        metrics = [{task: score.metrics for task, score in record.scores.items()} for record in self.records]
        averages = [mean for of_seed in metrics if (mean := suite_average(registry, suite, of_seed)) is not None]
        return stat(averages) if len(averages) == len(metrics) else None

    def contents(self, task: str, role: str) -> set[object]:
        """The fingerprints of a task's data in one role: one, unless the seeds saw different data."""
        return {fingerprints(record, task).get(role) for record in self.records}


def fingerprints(record: Record, task: str) -> Mapping[str, object]:
    """What names the content of a task's data, by role."""
    return {role: facts.get("fingerprint") for role, facts in record.data.get(task, {}).items()}


def invalid_percent(scores: Sequence[Score]) -> float:
    return 100 * sum(score.invalid for score in scores) / max(1, sum(score.n for score in scores))


def pick(store: Store, name: str, among: Sequence[Record]) -> Experiment:
    """The experiment a user means: a run, several with commas between, or all finished runs of a plan's digest."""
    repeats = [record for record in among if record.digest == name and record.status == "finished"]
    records = repeats or [store.find(part.strip(), among) for part in name.split(",")]
    first = records[0]
    refuse_repeats(records)
    for other in records:
        if other.digest != first.digest:
            raise UsageError(f"{other.id} does not repeat {first.id} but has another plan: put no comma between them")
    by_seed = {plan_of(record).seed: record for record in records}  # of repeats, the latest
    name = first.id if len(by_seed) == 1 else f"plan {first.digest}"
    return Experiment(name, tuple(by_seed[seed] for seed in sorted(by_seed)))


def refuse_repeats(records: Sequence[Record]) -> None:
    for run, times in Counter(record.id for record in records).items():
        if times > 1:
            raise UsageError(f"run {run!r} is named twice: name each run once")


def differing(plans: Sequence[Plan], but: Collection[str] = ()) -> dict[str, list[Any]]:
    """The settings that not all plans share, each with its value in every plan."""
    found = {name: [getattr(plan, name) for plan in plans] for name in settings() if name not in but}
    return {name: values for name, values in found.items() if any(value != values[0] for value in values)}


def in_order(tasks: Iterable[str], registry: Registry) -> list[str]:
    """Tasks in the order of their official tables, last those that are not loaded."""
    places = {name: (task.suite, task.place) for name, task in registry.tasks.items()}
    return sorted(tasks, key=lambda name: (name not in places, places.get(name), name))


def title_of(task: str, registry: Registry) -> str:
    """The name that leaderboards print, also of a task that is not loaded."""
    return registry.tasks[task].title or task if task in registry.tasks else task


def label(title: str, key: str, keys: Collection[str]) -> str:
    """The heading for one of a task's values."""
    return title if len(keys) == 1 else f"{title} {SHORT.get(key, key)}"
