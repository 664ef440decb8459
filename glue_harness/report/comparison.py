"""Runs side by side: what they scored, whether the difference is more than chance, and what was done differently."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.plan import FIELDS, Plan, plan_from
from glue_harness.core.record import Record
from glue_harness.core.task import Prediction, Task
from glue_harness.metrics.selection import suite_average
from glue_harness.report.board import Stat, fingerprints, label, metrics_of, stat
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

SIGNIFICANT = 0.05  # what a corrected p value must be below
TOLERANCE = 1e-6  # between a score that was recorded and the same score counted again


@dataclass(frozen=True)
class Side:
    """One experiment: a run, or the runs of one plan with different seeds."""

    name: str
    records: tuple[Record, ...]  # one a seed

    @property
    def plan(self) -> Plan:
        return plan_from(self.records[0].plan)

    @property
    def seeds(self) -> list[int]:
        return [plan_from(record.plan).seed for record in self.records]

    @property
    def facts(self) -> dict[str, Any]:
        """What a comparison of scores should not hide."""
        scores = [score for record in self.records for score in record.scores.values()]
        return {
            "data": self.plan.data,
            "select": self.plan.select,
            "steps": self.plan.steps,
            "seconds": round(statistics.fmean(record.seconds for record in self.records), 1),
            "invalid_percent": round(100 * sum(s.invalid for s in scores) / max(1, sum(s.n for s in scores)), 2),
            "parameters": self.records[0].parameters.get("total"),
            "trainable": self.records[0].parameters.get("trainable"),
        }


@dataclass(frozen=True)
class Difference:
    """To the first side; `untested` says why nobody knows whether it is chance."""

    value: float
    low: float | None = None  # 95 %, paired
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None  # corrected for every test of the comparison
    test: str | None = None
    untested: str | None = None


@dataclass(frozen=True)
class Line:
    """One value of a task, or a suite's average, over all sides."""

    name: str
    label: str
    stats: tuple[Stat | None, ...]
    differences: tuple[Difference | None, ...]  # None for the first: the others are compared to it
    best: tuple[int, ...] = ()  # places of the highest; none where all are equal, or the data differ


@dataclass(frozen=True)
class Comparison:
    sides: tuple[Side, ...]
    lines: tuple[Line, ...]
    settings: Mapping[str, list[Any]]  # of the plans, where they differ
    notes: tuple[str, ...]


def pick(store: Store, name: str, among: Sequence[Record]) -> Side:
    """The experiment a user means: a run, several with commas between, or all finished runs of a plan's digest."""
    repeats = [record for record in among if record.digest == name and record.status == "finished"]
    records = repeats or [store.find(part.strip(), among) for part in name.split(",")]
    first = records[0]
    _refuse_repeats(records)
    for other in records:
        if other.digest != first.digest:
            raise UsageError(f"{other.id} does not repeat {first.id} but has another plan: put no comma between them")
    by_seed = {plan_from(record.plan).seed: record for record in records}  # of repeats, the latest
    title = first.id if len(by_seed) == 1 else f"plan {first.digest}"
    return Side(title, tuple(by_seed[seed] for seed in sorted(by_seed)))


def compare(sides: Sequence[Side], store: Store, registry: Registry) -> Comparison:
    """Every other side against the first."""
    _refuse_repeats([record for side in sides for record in side.records])
    lines = [line for task in _scored(sides, registry) for line in lines_of(task, sides, store, registry)]
    for suite in sorted({task.suite for task in registry.tasks.values()}):
        lines += _average(suite, sides, registry)
    return Comparison(tuple(sides), tuple(corrected(lines)), _settings(sides), tuple(notes_on(sides)))


def _refuse_repeats(records: Sequence[Record]) -> None:
    for run in (record.id for record in records):
        if sum(record.id == run for record in records) > 1:
            raise UsageError(f"run {run!r} is named twice: name each run once")


def _scored(sides: Sequence[Side], registry: Registry) -> list[str]:
    """All tasks that some run scored, in the order of their tables."""
    names = {name for side in sides for record in side.records for name in record.scores}
    known = sorted((task.suite, task.place, name) for name, task in registry.tasks.items() if name in names)
    return [name for *_, name in known] + sorted(names - registry.tasks.keys())


def lines_of(name: str, sides: Sequence[Side], store: Store, registry: Registry) -> Iterator[Line]:
    """The values of one task."""
    first, *others = sides
    task = registry.tasks.get(name)
    title = task.title or name if task else name
    tests = [_tests(name, first, other, store, registry) for other in others]
    metrics = [metrics_of(record).get(name, {}) for side in sides for record in side.records]
    keys = list(dict.fromkeys(key for values in metrics for key in values))
    comparable = not any(_other_data(name, first, other) for other in others)
    for key in keys:
        stats = [_stat(side, name, key) for side in sides]
        differences = [
            _difference(stats[0], theirs, found.get(key), reason)
            for theirs, (found, reason) in zip(stats[1:], tests, strict=True)
        ]
        best = _best(stats) if comparable else ()
        yield Line(f"{name}.{key}", label(title, key, keys), tuple(stats), (None, *differences), best)


def _average(suite: str, sides: Sequence[Side], registry: Registry) -> list[Line]:
    """The line of a suite's average, if a side has one."""
    stats = []
    for side in sides:
        averages = [suite_average(registry, suite, metrics_of(record)) for record in side.records]
        stats.append(None if None in averages else stat(averages))
    if not any(stats):
        return []
    reason = "an average over tasks is not tested"
    differences = [_difference(stats[0], theirs, None, reason) for theirs in stats[1:]]
    tasks = _scored(sides, registry)
    comparable = not any(_other_data(name, sides[0], other) for name in tasks for other in sides[1:])
    best = _best(stats) if comparable else ()
    return [Line(f"{suite}.average", f"{suite} average", tuple(stats), (None, *differences), best)]


def _stat(side: Side, task: str, key: str) -> Stat | None:
    """A value over the side's seeds; None unless each of them has it."""
    values = [metrics_of(record).get(task, {}).get(key) for record in side.records]
    if None in values:
        return None
    return stat(values, side.records[0].scores[task].intervals.get(key, (None, None)))


def _best(stats: Sequence[Stat | None]) -> tuple[int, ...]:
    """The highest of different values; nothing is the best of one, nor of equals."""
    means = {found.mean for found in stats if found}
    return tuple(place for place, found in enumerate(stats) if found and found.mean == max(means) and len(means) > 1)


def _difference(first: Stat | None, other: Stat | None, tested: Difference | None, reason: str) -> Difference | None:
    if first is None or other is None:
        return None
    value = other.mean - first.mean
    if tested is None:
        return Difference(value, untested=reason)
    if abs(tested.value - value) > TOLERANCE:
        return Difference(value, untested="the kept predictions give other scores than the record")
    return tested


def _tests(name: str, first: Side, other: Side, store: Store, registry: Registry) -> tuple[dict[str, Difference], str]:
    """A paired test of every value of a task, or the reason why there is none."""
    if name not in registry.tasks:
        return {}, "the task is not loaded: name its folder with --tasks"
    if reason := _other_data(name, first, other):
        return {}, reason
    task = registry.tasks[name]
    try:
        base, theirs = ([store.read_predictions(r.id, task) for r in side.records] for side in (first, other))
        return _paired(task, base, theirs), "the metric is undefined on these answers"
    except DataError as error:
        return {}, str(error)


def _paired(task: Task, base: list[list[Prediction]], other: list[list[Prediction]]) -> dict[str, Difference]:
    """Tests over the same examples, one list of predictions a seed. What chance cannot be asked about is left out."""
    from glue_harness import metrics
    from glue_harness.metrics import stats
    from glue_harness.metrics.classification import is_right

    asked = [{p.example.id: p.example.target for p in predictions} for predictions in (*base, *other)]
    if any(examples != asked[0] for examples in asked):
        raise DataError("they answered different examples")
    found = {}
    for metric in task.metrics:
        sides = [[metric.tally(predictions) for predictions in side] for side in (base, other)]
        for key, (value, low, high, p) in stats.compare_paired(*sides).items():
            if not math.isnan(p):
                found[key] = Difference(value, low, high, p, test="paired bootstrap")
    if metrics.accuracy in task.metrics and len(asked) == 2:
        right = [{p.example.id: is_right(p) for p in side[0]} for side in (base, other)]
        p = stats.mcnemar(list(right[0].values()), [right[1][example] for example in right[0]])
        found["accuracy"] = replace(found["accuracy"], p=p, test="McNemar")
    return found


def _other_data(name: str, first: Side, other: Side) -> str | None:
    """How the data that scored a task differ, if they do."""
    if first.plan.is_demo != other.plan.is_demo:
        return "one is on demo data and one is not"
    if _content(name, first, "validation") != _content(name, other, "validation"):
        return "they were scored on different data"
    return None


def _content(name: str, side: Side, role: str) -> set[object]:
    return {fingerprints(record, name).get(role) for record in side.records}


def corrected(lines: Sequence[Line]) -> list[Line]:
    """Holm's correction over every test, whatever line or side it belongs to."""
    from glue_harness.metrics.stats import holm

    tested = {
        f"{line.name} {place}": found.p
        for line in lines
        for place, found in enumerate(line.differences)
        if found and found.p is not None
    }
    p_values = holm(tested)
    return [
        replace(
            line,
            differences=tuple(
                found and replace(found, p_holm=p_values.get(f"{line.name} {place}"))
                for place, found in enumerate(line.differences)
            ),
        )
        for line in lines
    ]


def _settings(sides: Sequence[Side]) -> dict[str, list[Any]]:
    """What the plans do not share."""
    found = {name: [getattr(side.plan, name) for side in sides] for name in FIELDS if name != "seed"}
    found["seeds"] = [side.seeds for side in sides]
    return {name: values for name, values in found.items() if any(value != values[0] for value in values)}


def notes_on(sides: Sequence[Side]) -> Iterator[str]:
    """What a reader must know before believing a difference."""
    for record in (record for side in sides for record in side.records):
        if record.status != "finished":
            yield f"{record.id} is {record.status}: it shows what was measured until then"
    first, *others = sides
    for other in others:
        pair = f"{first.name} and {other.name}"
        if first.plan.is_demo != other.plan.is_demo:
            yield f"{pair}: one is on demo data and one is not, so their scores cannot be compared"
            continue
        if first.plan.select != other.plan.select:
            optimist = first if first.plan.select == "validation" else other
            yield f"{pair}: {optimist.name} chose its steps by the scores that stand here, which are optimistic"
        shared = [name for name in first.records[0].data if name in other.records[0].data]
        for role, verb in (("validation", "scored"), ("train", "trained")):
            tasks = [name for name in shared if _content(name, first, role) != _content(name, other, role)]
            if tasks:
                yield f"{pair} were {verb} on different data: {', '.join(tasks)}"
