"""Leaderboards: the finished runs of one suite, the seeds of a plan in one row, ranked by T5's average."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from glue_harness.core.errors import unknown
from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.report.experiments import Experiment, Stat, fingerprints, invalid_percent, label
from glue_harness.report.published import Published, load_published
from glue_harness.suite.registry import Registry

HELD_OUT = "steps chosen on held-out train"
OPTIMISTIC = (
    f"Rows without the mark '{HELD_OUT}' chose their steps by the scores that stand here: these are optimistic."
)


class BoardColumn(NamedTuple):
    """One value of one task."""

    task: str
    key: str
    group: str  # title of the task that trains for it: MNLI, for matched and mismatched
    label: str  # heading that stands alone: MRPC F1, MNLI-m

    @property
    def name(self) -> str:
        return f"{self.task}.{self.key}"


@dataclass(frozen=True)
class BoardRow:
    """One experiment: a plan with all its seeds, or a published result."""

    source: str  # run, or where it was published
    model: str
    method: str
    average: Stat | None  # None unless every task of the suite's average has a score
    values: Mapping[BoardColumn, Stat]
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
    columns: tuple[BoardColumn, ...]
    rows: tuple[BoardRow, ...]  # ranked, then those on other data, then those without an average, then published ones
    left_out: tuple[tuple[str, str], ...]  # run id, why
    notes: tuple[str, ...] = ()


def make_boards(
    records: Iterable[Record], registry: Registry, suite: str, with_published: bool = False
) -> tuple[Board, Board]:
    """The suite's board of real data and that of demo data: the two never share one."""
    columns = columns_of(registry, suite)
    of_suite = {suite, *registry.suites[suite], *(column.task for column in columns)}
    real: list[Experiment] = []
    demo: list[Experiment] = []
    for record in records:
        run = Experiment(record.id, (record,))
        asked = {registry.aliases.get(name, name) for name in run.plan.tasks}  # of a run that failed, no task is scored
        if not of_suite.isdisjoint(asked | record.scores.keys()):
            (demo if run.plan.is_demo else real).append(run)
    board = _board(suite, suite, columns, real, registry)
    if with_published:
        board = _with_published(board, load_published(), registry)
    return board, _board(f"{suite}-demo", suite, columns, demo, registry)


def columns_of(registry: Registry, suite: str) -> tuple[BoardColumn, ...]:
    """The values of a suite's tasks, in the order of its official table."""
    if suite not in registry.suites:
        raise unknown("suite", suite, registry.suites)
    columns = []
    for trained in (registry.tasks[name] for name in registry.suites[suite]):
        for task in registry.scorers(trained) if trained.part != "companion" else ():
            group, title = trained.title or trained.name, task.title or task.name
            columns += [BoardColumn(task.name, key, group, label(title, key, task.keys)) for key in task.keys]
    return tuple(columns)


def _board(
    name: str, suite: str, columns: tuple[BoardColumn, ...], runs: Sequence[Experiment], registry: Registry
) -> Board:
    """A row for the runs of one plan on the same data, of which the latest counts for each seed."""
    groups: dict[tuple[str, str], dict[int, Experiment]] = defaultdict(dict)
    left_out = []
    for run in sorted(runs, key=lambda run: (run.records[0].started, run.name), reverse=True):
        (record,), seed = run.records, run.plan.seed
        if record.status != "finished":
            left_out.append((record.id, f"{record.status}: {record.error}" if record.error else record.status))
            continue
        content = {task: fingerprints(record, task) for task in record.data}
        seeds = groups[record.digest, json.dumps(content, sort_keys=True)]
        if seed in seeds:
            left_out.append((record.id, f"repeats seed {seed} of the later run {seeds[seed].name}"))
        else:
            seeds[seed] = run
    rows = [_row([group[seed] for seed in sorted(group)], columns, suite, registry) for group in groups.values()]
    notes = (OPTIMISTIC,) if any(row.select == "heldout" for row in rows) else ()
    return Board(name, suite, columns, tuple(_ranked(rows)), tuple(left_out), notes)


def _ranked(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """By average, on the data that most rows share. Other data follow without a rank, then runs that lack tasks."""
    complete = sorted(((row.average.mean, row) for row in rows if row.average), key=lambda found: -found[0])
    partial = sorted((row for row in rows if not row.average), key=lambda row: (-len(row.values), row.date))
    if not complete:
        return partial
    kinds = Counter(frozenset(row.scored_on.items()) for _, row in complete)  # few, however many rows
    shared = {kind: sum(n for other, n in kinds.items() if _same_data(dict(kind), dict(other))) for kind in kinds}
    first = max((row for _, row in complete), key=lambda row: (shared[frozenset(row.scored_on.items())], row.examples))
    ranked: list[BoardRow] = []
    others: list[BoardRow] = []
    places: dict[float, int] = {}
    for mean, row in complete:
        if _same_data(first.scored_on, row.scored_on):
            ranked.append(replace(row, rank=places.setdefault(mean, len(ranked) + 1)))
        else:
            others.append(row)
    for row in (*others, *partial):
        same = _same_data(first.scored_on, row.scored_on)
        ranked.append(row if same else replace(row, data=f"{row.data}, other data"))
    return ranked


def _same_data(data: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether the tasks that both have were scored on the same data."""
    return all(data[task] == other[task] for task in data.keys() & other.keys())


def _row(runs: Sequence[Experiment], columns: Sequence[BoardColumn], suite: str, registry: Registry) -> BoardRow:
    """One plan's seeds."""
    plan, records = runs[0].plan, [run.records[0] for run in runs]
    seeds = Experiment(runs[0].name, tuple(records))
    latest = max(records, key=lambda record: record.started)
    values = {column: seeds.stat(column.task, column.key) for column in columns}
    tasks = [task for task in dict.fromkeys(column.task for column in columns) if task in latest.scores]
    commit = (latest.environment.get("commit") or "")[:10]
    return BoardRow(
        source="run",
        average=seeds.average(suite, registry),
        values={column: found for column, found in values.items() if found},
        mixing=plan.mixing if len(latest.mix) > 1 else "",
        data=_data(plan, records),
        seeds=len(records),
        invalid=invalid_percent([record.scores[task] for record in records for task in tasks if task in record.scores]),
        examples=sum(latest.scores[task].n for task in tasks),
        scored_on={task: fingerprints(latest, task).get("validation") for task in tasks},
        runs=tuple(record.id for record in records),
        digest=latest.digest,
        date=latest.started[:10],
        commit=f"{commit} changed" if commit and latest.environment.get("dirty") else commit,
        **{name: getattr(plan, name) for name in ("model", "method", "limit", "temperature", "steps", "select")},
    )


def _data(plan: Plan, records: Sequence[Record]) -> str:
    """Real or demo, and everything that makes a score not comparable to one on the whole data."""
    splits = [facts for record in records for roles in record.data.values() for facts in roles.values()]
    is_subset = any(facts.get("rows", 0) < (facts.get("official") or 0) for facts in splits)
    marks = {
        plan.data if plan.is_demo else "real": True,
        "subset": is_subset and not plan.is_demo,
        f"{plan.train_limit} rows of train": plan.train_limit is not None,
        HELD_OUT: plan.select == "heldout",
        f"steps chosen on {plan.eval_limit} examples": plan.eval_limit is not None,
    }
    return ", ".join(mark for mark, holds in marks.items() if holds)


def _with_published(board: Board, published: Published, registry: Registry) -> Board:
    """The board with the paper's rows below its own: they take no part in the ranking."""
    columns = {(column.task, column.key): column for column in board.columns}
    suite = board.suite.removesuffix("-all")  # what it adds is in no average
    rows = []
    for result in published.results:
        values = {}
        for (task, key), value in result.values.items():
            if column := columns.get((registry.aliases.get(task, task), key)):
                values[column] = Stat(value, result.deviations.get((task, key)))
        average = result.averages.get(suite)
        if values:
            row = BoardRow(
                source=f"published: {published.short}",
                model=published.model,
                method=result.configuration,
                average=None if average is None else Stat(average, result.average_deviations.get(suite)),
                values=values,
                data="real",
                seeds=result.runs,
            )
            rows.append(row)
    notes = (*board.notes, published.source, *published.notes) if rows else board.notes
    return replace(board, rows=(*board.rows, *rows), notes=notes)
