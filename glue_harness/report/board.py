"""Leaderboards: the finished runs of one suite, the seeds of a plan in one row, ranked by T5's average."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from glue_harness.core.errors import unknown
from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.metrics.selection import suite_average
from glue_harness.report.published import Published, Result, load_published
from glue_harness.runs.index import plan_of
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
HELD_OUT = "steps chosen on held-out train"
OPTIMISTIC = (
    f"Rows without the mark '{HELD_OUT}' chose their steps by the scores that stand here: these are optimistic."
)
LEAST_SEEDS = 3  # for an interval: that of two reaches far beyond any score
# Student's t, 97.5 %, for 2 to 30 degrees of freedom
T_975 = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
T_975 += (2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
Run = tuple[Record, Plan]  # the plan that the record holds, read once


class Column(NamedTuple):
    """One value of one task."""

    task: str
    key: str
    group: str  # title of the task that trains for it: MNLI, for matched and mismatched
    label: str  # heading that stands alone: MRPC F1, MNLI-m

    @property
    def name(self) -> str:
        return f"{self.task}.{self.key}"


class Stat(NamedTuple):
    """A value over seeds. The 95 % interval is across three seeds or more, or over the examples of the only one."""

    mean: float
    deviation: float | None = None  # sample standard deviation
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One experiment: a plan with all its seeds, or a published result."""

    source: str  # run, or where it was published
    model: str
    method: str
    average: Stat | None  # None unless every task of the suite's average has a score
    values: Mapping[Column, Stat]
    rank: int | None = None
    mixing: str = ""
    limit: float | None = None
    temperature: float | None = None
    steps: int | None = None
    data: str = ""
    select: str = ""  # what chose the steps
    seeds: int = 1
    invalid: float | None = None  # percent of the answers
    examples: int = 0  # that each seed answered
    scored_on: Mapping[str, object] = field(default_factory=dict)  # task -> fingerprint of the data that scored it
    runs: tuple[str, ...] = ()
    digest: str = ""
    date: str = ""
    commit: str = ""


@dataclass(frozen=True)
class Board:
    name: str  # glue, glue-demo
    suite: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]  # ranked, then those on other data, then those without an average, then published ones
    left_out: tuple[tuple[str, str], ...]  # run id, why
    notes: tuple[str, ...] = ()


def make_boards(
    records: Iterable[Record], registry: Registry, suite: str, with_published: bool = False
) -> tuple[Board, Board]:
    """The suite's board of real data and that of demo data: the two never share one."""
    columns = columns_of(registry, suite)
    runs = [(record, plan_of(record)) for record in records]
    concerned = [run for run in runs if _concerns(*run, registry, suite, columns)]
    real = _board(suite, suite, columns, [run for run in concerned if not run[1].is_demo], registry)
    trial = _board(f"{suite}-demo", suite, columns, [run for run in concerned if run[1].is_demo], registry)
    if with_published:
        real = _with_published(real, load_published(), registry)
    return real, trial


def columns_of(registry: Registry, suite: str) -> tuple[Column, ...]:
    """The values of a suite's tasks, in the order of its official table."""
    if suite not in registry.suites:
        raise unknown("suite", suite, registry.suites)
    columns = []
    for trained in (registry.tasks[name] for name in registry.suites[suite]):
        for task in registry.scorers(trained) if trained.part != "companion" else ():
            group, title = trained.title or trained.name, task.title or task.name
            columns += [Column(task.name, key, group, label(title, key, task.keys)) for key in task.keys]
    return tuple(columns)


def label(title: str, key: str, keys: Collection[str]) -> str:
    """The heading for one of a task's values."""
    return title if len(keys) == 1 else f"{title} {SHORT.get(key, key)}"


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


def metrics_of(record: Record) -> dict[str, dict[str, float | None]]:
    return {task: score.metrics for task, score in record.scores.items()}


def fingerprints(record: Record, task: str) -> Mapping[str, object]:
    """What names the content of a task's data, by role."""
    return {role: facts.get("fingerprint") for role, facts in record.data.get(task, {}).items()}


def _concerns(record: Record, plan: Plan, registry: Registry, suite: str, columns: Sequence[Column]) -> bool:
    """Whether a run set out to do a task of the suite, however it ended."""
    ours = {suite, *registry.suites[suite], *(column.task for column in columns)}
    named = {registry.aliases.get(name, name) for name in plan.tasks}
    return not ours.isdisjoint(named | record.scores.keys())


def _board(name: str, suite: str, columns: tuple[Column, ...], runs: Sequence[Run], registry: Registry) -> Board:
    groups: dict[tuple[str, str], dict[int, Run]] = defaultdict(dict)
    left_out = []
    for record, plan in sorted(runs, key=lambda run: (run[0].started, run[0].id), reverse=True):
        if record.status != "finished":
            left_out.append((record.id, f"{record.status}: {record.error}" if record.error else record.status))
            continue
        content = {task: fingerprints(record, task) for task in record.data}
        seeds = groups[record.digest, json.dumps(content, sort_keys=True)]
        if plan.seed in seeds:
            left_out.append((record.id, f"repeats seed {plan.seed} of the later run {seeds[plan.seed][0].id}"))
        else:
            seeds[plan.seed] = record, plan
    rows = [_row([group[seed] for seed in sorted(group)], columns, registry, suite) for group in groups.values()]
    notes = (OPTIMISTIC,) if any(row.select == "heldout" for row in rows) else ()
    return Board(name, suite, columns, tuple(_ranked(rows)), tuple(left_out), notes)


def _ranked(rows: Sequence[Row]) -> list[Row]:
    """By average, on the data that most rows share. Other data follow without a rank, then runs that lack tasks."""
    complete = sorted((row for row in rows if row.average), key=lambda row: -row.average.mean)
    partial = sorted((row for row in rows if not row.average), key=lambda row: (-len(row.values), row.date))
    if not complete:
        return partial
    kinds = Counter(frozenset(row.scored_on.items()) for row in complete)  # few, however many rows
    shared = {kind: sum(n for other, n in kinds.items() if _same(dict(kind), dict(other))) for kind in kinds}
    first = max(complete, key=lambda row: (shared[frozenset(row.scored_on.items())], row.examples))
    ranked = [row for row in complete if _same_data(first, row)]
    means = [row.average.mean for row in ranked]
    others = [_marked(row) for row in complete if not _same_data(first, row)]
    partial = [row if _same_data(first, row) else _marked(row) for row in partial]
    return [replace(row, rank=1 + means.index(row.average.mean)) for row in ranked] + others + partial


def _marked(row: Row) -> Row:
    return replace(row, data=f"{row.data}, other data")


def _same_data(row: Row, other: Row) -> bool:
    return _same(row.scored_on, other.scored_on)


def _same(data: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether the tasks that both have were scored on the same data."""
    return all(data[task] == other[task] for task in data.keys() & other.keys())


def _row(runs: Sequence[Run], columns: Sequence[Column], registry: Registry, suite: str) -> Row:
    """One plan's seeds."""
    records, plan = [record for record, _ in runs], runs[0][1]
    latest = max(records, key=lambda record: record.started)
    scores = [metrics_of(record) for record in records]
    averages = [suite_average(registry, suite, of_seed) for of_seed in scores]
    values = {}
    for column in columns:
        found = [of_seed.get(column.task, {}).get(column.key) for of_seed in scores]
        if None not in found:
            values[column] = stat(found, records[0].scores[column.task].intervals.get(column.key, (None, None)))
    tasks = [task for task in dict.fromkeys(column.task for column in columns) if task in latest.scores]
    answered = [record.scores[task] for record in records for task in tasks if task in record.scores]
    return Row(
        source="run",
        model=plan.model,
        method=plan.method,
        average=None if None in averages else stat(averages),
        values=values,
        mixing=plan.mixing if len(latest.mix) > 1 else "",
        limit=plan.limit,
        temperature=plan.temperature,
        steps=plan.steps,
        data=_data(plan, records),
        select=plan.select,
        seeds=len(records),
        invalid=100 * sum(s.invalid for s in answered) / max(1, sum(s.n for s in answered)),
        examples=sum(latest.scores[task].n for task in tasks),
        scored_on={task: fingerprints(latest, task).get("validation") for task in tasks},
        runs=tuple(record.id for record in records),
        digest=latest.digest,
        date=latest.started[:10],
        commit=_commit(latest),
    )


def _data(plan: Plan, records: Sequence[Record]) -> str:
    """Real or demo, and everything that makes a score not comparable to one on the whole data."""
    marks = [plan.data if plan.is_demo else "real"]
    if not plan.is_demo and any(_is_subset(record) for record in records):
        marks.append("subset")
    if plan.train_limit is not None:
        marks.append(f"{plan.train_limit} rows of train")
    if plan.select == "heldout":
        marks.append(HELD_OUT)
    if plan.eval_limit is not None:
        marks.append(f"steps chosen on {plan.eval_limit} examples")
    return ", ".join(marks)


def _is_subset(record: Record) -> bool:
    splits = [facts for roles in record.data.values() for facts in roles.values()]
    return any(facts.get("rows", 0) < (facts.get("official") or 0) for facts in splits)


def _commit(record: Record) -> str:
    commit = (record.environment.get("commit") or "")[:10]
    return f"{commit} changed" if commit and record.environment.get("dirty") else commit


def _with_published(board: Board, published: Published, registry: Registry) -> Board:
    """The board with the paper's rows below its own: they take no part in the ranking."""
    columns = {(column.task, column.key): column for column in board.columns}

    def row(result: Result) -> Row:
        named = {(registry.aliases.get(task, task), key): (task, key) for task, key in result.values}
        suite = board.suite.removesuffix("-all")  # what it adds is in no average
        average = result.averages.get(suite)
        return Row(
            source=f"published: {published.short}",
            model=published.model,
            method=result.configuration,
            average=None if average is None else Stat(average, result.average_deviations.get(suite)),
            values={
                columns[ours]: Stat(result.values[theirs], result.deviations.get(theirs))
                for ours, theirs in named.items()
                if ours in columns
            },
            data="real",
            seeds=result.runs,
        )

    rows = [made for made in map(row, published.results) if made.values]
    notes = (*board.notes, published.source, *published.notes) if rows else board.notes
    return replace(board, rows=(*board.rows, *rows), notes=notes)
