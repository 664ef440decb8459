"""What is read of results: an experiment is a run, or one plan's seeds; how its plan differs from others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.plan import Plan, default_of, settings
from glue_harness.core.record import Record, Score
from glue_harness.core.task import Task
from glue_harness.metrics.selection import Members, average_of, averaged, members_of
from glue_harness.metrics.student import Z_975, Variance, total
from glue_harness.runs.index import Entry, plan_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

SHORT = {  # how the tables of the field call a metric
    "accuracy": "Acc",
    **dict.fromkeys(("f1", "mean_3class_f1"), "F1"),
    "matthews_corrcoef": "MCC",
    "probability": "Prob",
    "next_accuracy": "NSP",
    "pearson_corrcoef": "Pearson",
    "spearman_corrcoef": "Spearman",
    **dict.fromkeys(("exact_match", "em"), "EM"),
    "rouge1": "R-1",
    "rouge2": "R-2",
    "rougeLsum": "R-L",
    "bleu": "BLEU",
}
SPEAKING = ("tasks", "model", "method", "mixing", "optimizer", "schedule")  # settings whose value says what it is
LENGTH = ("steps", "epochs")  # a plan has one of them
LEAST_SEEDS = 3  # for an interval: that of two reaches far beyond any score
OVER_EXAMPLES, OVER_SEEDS, OVER_BOTH = "examples", "seeds", "seeds and examples"  # what an interval is over
TOLERANCE = 1e-6  # of a score at the end of its range
Bounds = Sequence[float | None]  # of a 95 % interval; None where undefined


class Stat(NamedTuple):
    """A value over seeds, with the 95 % interval of the only seed, or of three and more."""

    mean: float
    deviation: float | None = None  # sample standard deviation over the seeds
    low: float | None = None
    high: float | None = None
    over: str = ""  # what the interval is over

    @property
    def half_width(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def stat(values: Sequence[float], intervals: Sequence[Bounds] = ()) -> Stat:
    """Mean over seeds; `intervals` are those of each seed over its examples."""
    if len(values) > 1:
        return stat_over(values, mean_of_variances(map(variance_of, intervals)) if intervals else None)
    low, high = intervals[0] if intervals else (None, None)
    return Stat(values[0], None, low, high, "" if low is None else OVER_EXAMPLES)


def stat_over(values: Sequence[float], of_examples: float | None) -> Stat:
    """The same where the variance of one seed's value over its examples is known, or None."""
    mean, deviation, variance = fmean(values), None, variance_over(values, of_examples)
    if len(values) > 1:
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    if variance is None or 1 < len(values) < LEAST_SEEDS:
        return Stat(mean, deviation)
    over = OVER_EXAMPLES if len(values) == 1 else OVER_SEEDS if of_examples is None else OVER_BOTH
    return Stat(mean, deviation, mean - variance.half_width, mean + variance.half_width, over)


def variance_over(values: Sequence[float], of_examples: float | None) -> Variance | None:
    """Of the mean over k seeds that answered the same examples: V = s^2 / k + V_examples.

    V_examples is that of one seed: more seeds do not make the examples more. It also holds what an answer's luck
    differs between seeds, which s^2 holds already, so V is too large rather than too small; answers that were kept
    say it exactly (see report/ranking.py).
    """
    k, mean = len(values), fmean(values)
    parts = [] if of_examples is None else [Variance(of_examples)]
    if k > 1:
        parts.append(Variance(sum((value - mean) ** 2 for value in values) / (k - 1) / k, k - 1))
    return total(parts) if parts else None


def variance_of(interval: Bounds) -> float | None:
    """What a 95 % interval says of the variance, also where it is not symmetric."""
    low, high = interval
    return None if low is None or high is None else ((high - low) / 2 / Z_975) ** 2


def mean_of_variances(found: Iterable[float | None]) -> float | None:
    """None unless all are known."""
    values = list(found)
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


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
            "select": said(self.plan, "select"),
            "steps": None if self.plan.is_scored else self.plan.steps,
            "seconds": None if self.plan.is_scored else round(fmean(record.seconds for record in self.records), 1),
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
        return stat(values, [score.intervals.get(key, (None, None)) for score in scores])

    def is_undefined(self, task: str, key: str) -> bool:
        """Whether the task was scored, and its metric gives no value for the answers of a seed."""
        return all(task in record.scores for record in self.records) and self.stat(task, key) is None

    def average(self, suite: str, registry: Registry) -> Stat | None:
        """A suite's average over the seeds; None unless each of them has it."""
        found = self.average_over(members_of(registry, averaged(registry, suite)))
        return found and found[0]

    def average_over(self, members: Members) -> tuple[Stat, Variance | None] | None:
        """An average over tasks as one statistic over the seeds, with its variance; None unless each seed has it."""
        metrics = [{task: score.metrics for task, score in record.scores.items()} for record in self.records]
        averages = [average for of_seed in metrics if (average := average_of(members, of_seed)) is not None]
        if len(averages) < len(metrics):
            return None
        of_examples = mean_of_variances(_variance_of_average(members, record.scores) for record in self.records)
        return stat_over(averages, of_examples), variance_over(averages, of_examples)

    def without_luck(self, members: Members) -> float | None:
        """The same average, over the seeds, without the luck of choosing steps; None unless each seed knows it."""
        honest = [{task: score.without_luck for task, score in record.scores.items()} for record in self.records]
        averages = [average for of_seed in honest if (average := average_of(members, of_seed)) is not None]
        return fmean(averages) if len(averages) == len(self.records) else None

    def contents(self, task: str, role: str) -> set[object]:
        """The fingerprints of a task's data in one role: one, unless the seeds saw different data."""
        return {fingerprints(record, task).get(role) for record in self.records}


def _variance_of_average(members: Members, scores: Mapping[str, Score]) -> float | None:
    """Over examples, of the mean over M members: V = sum(V_member) / M^2.

    Values of one task are of the same examples and so rise and fall together: their standard errors are averaged, as
    if they did so wholly. Tasks have examples of their own: their variances add up.
    """
    found = 0.0
    for values in members:
        errors: dict[str, float] = {}
        for task, key in values:
            variance = variance_of(scores[task].intervals.get(key, (None, None)))
            if variance is None:
                return None
            errors[task] = errors.get(task, 0.0) + math.sqrt(variance) / len(values)
        found += sum(error**2 for error in errors.values())
    return found / len(members) ** 2


def limits_of(tasks: Iterable[Task]) -> dict[tuple[str, str], tuple[float, float]]:
    """The least and the most that each value of tasks can be, where that is known."""
    metrics = [(task.name, metric) for task in tasks for metric in task.metrics]
    return {(name, key): metric.limits for name, metric in metrics if metric.limits for key in metric.keys}


def impossible(record: Record, limits: Mapping[tuple[str, str], tuple[float, float]]) -> str | None:
    """The first score that its metric cannot give: nobody's run wrote such a record."""
    for (task, key), (least, most) in limits.items():
        value = record.scores[task].metrics.get(key) if task in record.scores else None
        if value is not None and not least - TOLERANCE <= value <= most + TOLERANCE:
            return f"{task}.{key} is {value:g}, not between {least:g} and {most:g}: its record was changed"
    return None


def refuse_impossible(records: Iterable[Record], registry: Registry) -> None:
    limits = limits_of(registry.tasks.values())
    for record in records:
        if reason := impossible(record, limits):
            raise DataError(f"run {record.id}: {reason}")


def identities(records: Sequence[Record]) -> list[Hashable]:
    """What repeats of an experiment share: the plan without seed and folder, and the content of the data.

    A plan's digest names the folder of its data, so this is not the digest. Where a fingerprint is missing, the folder
    is all that names the data. Summaries of the index share what is alike in them: it is looked at once.
    """
    contents: dict[int, tuple[Hashable, bool]] = {}  # by the place in memory of a record's data
    plans: dict[tuple[str, str | None], str] = {}
    found: list[Hashable] = []
    one_folder = len({record.plan.get("data") for record in records}) == 1
    for record in records:
        if id(record.data) not in contents:
            known = {task: sorted(fingerprints(record, task).items()) for task in sorted(record.data)}
            has_all = bool(known) and all(f for roles in known.values() for _, f in roles)
            contents[id(record.data)] = tuple((task, *roles) for task, roles in known.items()), has_all
        content, is_known = contents[id(record.data)]
        named = (record.digest, record.plan.get("data"))
        if one_folder:
            plans[named] = record.digest
        elif is_known and named not in plans:
            plan = plan_of(record)
            is_own = plan.digest == record.digest
            plans[named] = plan.replace(data=default_of("data")).digest if is_own else record.digest
        found.append((plans[named] if is_known else record.digest, content))
    return found


def fingerprints(record: Record, task: str) -> Mapping[str, object]:
    """What names the content of a task's data, by role."""
    return {role: facts.get("fingerprint") for role, facts in record.data.get(task, {}).items()}


def invalid_percent(scores: Sequence[Score]) -> float:
    return 100 * sum(score.invalid for score in scores) / max(1, sum(score.n for score in scores))


def pick(store: Store, name: str, among: Sequence[Record | Entry]) -> Experiment:
    """The experiment a user means: a run, several with commas between, or all finished runs of a plan's digest.

    `among` are summaries of all runs, or what the index knows of them: then only those that are meant are read.
    """
    found = [known for known in among if known.digest == name and known.status == "finished"]
    repeats = [known if isinstance(known, Record) else store.find(known.id) for known in found]
    records = repeats or [store.find(part.strip(), among) for part in name.split(",")]
    first = records[0]
    refuse_repeats(records)
    for other, theirs in zip(records, kinds := identities(records), strict=True):
        if other.digest != first.digest and theirs != kinds[0]:
            raise UsageError(f"{other.id} does not repeat {first.id} but has another plan: put no comma between them")
    by_seed = {plan_of(record).seed: record for record in records}  # of repeats, the latest
    name = first.id if len(by_seed) == 1 else f"plan {first.digest}"
    return Experiment(name, tuple(by_seed[seed] for seed in sorted(by_seed)))


def refuse_repeats(records: Sequence[Record]) -> None:
    if repeated := [run for run, times in Counter(record.id for record in records).items() if times > 1]:
        raise UsageError(f"run {repeated[0]!r} is named twice: name each run once")


def said(plan: Plan, name: str) -> Any:
    """A setting's value; None in a plan that has no such setting, as one of a system whose answers were scored."""
    return getattr(plan, name) if plan.says(name) else None


def differing(plans: Sequence[Plan], but: Collection[str] = ()) -> dict[str, list[Any]]:
    """The settings that not all plans share that have them, each with its value in every plan."""
    found, lengths = {}, lengths_apart(plans)
    for name in settings():
        having = [getattr(plan, name) for plan in plans if plan.says(name)]
        if name not in but and (name in lengths or any(value != having[0] for value in having)):
            found[name] = [said(plan, name) for plan in plans]
    return found


def lengths_apart(plans: Sequence[Plan]) -> tuple[str, ...]:
    """Both lengths, where some plans count steps and others epochs."""
    return LENGTH if len({plan.epochs is None for plan in plans if not plan.is_scored}) > 1 else ()


def settings_apart(plans: Sequence[Plan]) -> list[dict[str, str]]:
    """How each plan differs from the others, in words: of the settings that it has, those that not all share.

    Seed and folder of the data tell no experiments apart, nor does what is no part of a plan's identity.
    """
    of_plans, lengths = [plan.to_dict() for plan in plans], lengths_apart(plans)
    apart: list[dict[str, str]] = [{} for _ in plans]
    for name, declared in settings().items():
        values = [values[name] for values in of_plans if name in values]
        differs = name in lengths or any(value != values[0] for value in values)
        if declared.identity and name not in ("seed", "data") and differs:
            for words, own in zip(apart, of_plans, strict=True):
                words |= {name: worded(name, own[name])} if name in own else {}
    return apart


def worded(name: str, value: Any) -> str:
    """A setting as a person writes it; some values say themselves what they are."""
    if isinstance(value, Mapping):
        value = " ".join(f"{key}={rate:g}" for key, rate in value.items())
    elif isinstance(value, list | tuple):
        value = "+".join(map(str, value))
    elif name == "limit" and value:
        fraction, exponent = math.frexp(value)  # limits are mostly powers of two, and are written so
        return f"K=2^{exponent - 1}" if fraction == 0.5 else f"K={value:.0f}"
    elif isinstance(value, float):
        value = f"{value:.6g}"
    text = "none" if value in (None, "") else str(value)
    return text if name in SPEAKING else f"{name.replace('_', ' ')} {text}"


def in_order(tasks: Iterable[str], registry: Registry) -> list[str]:
    """Tasks in the order of their official tables, last those that are not loaded."""
    places = {name: (task.suite, task.place) for name, task in registry.tasks.items()}
    return sorted(tasks, key=lambda name: (name not in places, places.get(name), name))


def label(title: str, key: str, keys: Collection[str]) -> str:
    """The heading for one of a task's values."""
    return title if len(keys) == 1 else f"{title} {SHORT.get(key, key)}"
