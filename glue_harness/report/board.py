"""Leaderboards: the finished runs of one suite, the seeds of a plan in one row, ranked by T5's average."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.plan import Plan, default_of, is_demo
from glue_harness.core.record import Record
from glue_harness.core.task import Task
from glue_harness.metrics.selection import averaged, members_of
from glue_harness.report.ceilings import ceiling_line
from glue_harness.report.console import UNDEFINED
from glue_harness.report.costs import LEGEND, remarks, spent
from glue_harness.report.experiments import (
    Experiment,
    Stat,
    fingerprints,
    identities,
    impossible,
    invalid_percent,
    label,
    limits_of,
    said,
)
from glue_harness.report.published import Published, load_published
from glue_harness.report.rows import Board, BoardColumn, BoardRow, Candidate, Wanted, named
from glue_harness.report.standing import ranked_rows
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

HELD_OUT = "steps chosen on held-out train"
OPTIMISTIC = (
    f"Trained rows without the mark '{HELD_OUT}' chose their steps by the scores that stand here: these are optimistic."
)


def make_boards(
    records: Iterable[Record],
    registry: Registry,
    suite: str,
    with_published: bool = False,
    *,
    tasks: Sequence[str] = (),
    store: Store | None = None,
    every_pair: bool = False,
) -> tuple[Board, Board]:
    """The suite's board of real data and that of demo data: the two never share one.

    `tasks` are those of the suite to show and to average, all unless named. Kept answers are read from the `store`, of
    small boards or on request (`every_pair`).
    """
    columns = columns_of(registry, suite)
    members = averaged(registry, suite)
    if tasks:
        members = _chosen(tasks, columns, registry, suite)
        shown = {scorer.name for task in members for scorer in registry.scorers(task)}
        columns = tuple(column for column in columns if column.task in shown)
    wanted = Wanted(suite, columns, members_of(registry, members), registry, store, every_pair)
    of_suite = {column.task for column in columns}
    of_suite |= {task.name for task in members} if tasks else {suite, *registry.suites[suite]}
    real: list[Record] = []
    demo: list[Record] = []
    usual = default_of("data")
    for record in records:
        asked = {registry.aliases.get(name, name) for name in record.plan["tasks"]}  # of a failed run, none is scored
        if not of_suite.isdisjoint(asked) or not of_suite.isdisjoint(record.scores):
            (demo if is_demo(record.plan.get("data", usual)) else real).append(record)
    board = _board(suite, wanted, real)
    if with_published:
        board = _with_published(board, load_published(), registry, whole=not tasks)
    return board, _board(f"{suite}-demo", wanted, demo)


def with_costs(board: Board, store: Store) -> Board:
    """The board with columns of what each row's runs cost, and what a reader must know of them."""
    board = priced(board, store)
    notes = (LEGEND, *remarks({row.name: row.cost for row in board.rows if row.runs}))
    return replace(board, notes=(*board.notes, *notes), has_costs=True)


def priced(board: Board, store: Store) -> Board:
    return replace(board, rows=tuple(replace(row, cost=spent(row.runs, store)) for row in board.rows))


def _chosen(names: Sequence[str], columns: Sequence[BoardColumn], registry: Registry, suite: str) -> list[Task]:
    """The tasks that an average is asked over."""
    scored = {column.task for column in columns}
    chosen = registry.select(names)
    for task in chosen:
        if not {scorer.name for scorer in registry.scorers(task)} <= scored:
            raise UsageError(f"{task.name} is not scored in {suite}: its tasks are {', '.join(registry.suites[suite])}")
    return chosen


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


def _board(name: str, wanted: Wanted, records: Sequence[Record]) -> Board:
    """A row for the repeats of one experiment, of which the latest counts for each seed."""
    by_age = sorted(records, key=lambda record: (record.started, record.id), reverse=True)
    limits = limits_of(wanted.registry.tasks[column.task] for column in wanted.columns)
    groups: dict[Hashable, dict[int, Record]] = defaultdict(dict)
    left_out = []
    for record, identity in zip(by_age, identities(by_age), strict=True):
        if record.status != "finished":
            left_out.append((record.id, f"{record.status}: {record.error}" if record.error else record.status))
        elif reason := impossible(record, limits):
            left_out.append((record.id, reason))
        else:
            seeds, seed = groups[identity], record.plan.get("seed", 0)
            if seed in seeds:
                left_out.append((record.id, f"repeats seed {seed} of the later run {seeds[seed].id}"))
            else:
                seeds[seed] = record
    candidates = [_candidate([group[seed] for seed in sorted(group)], wanted) for group in groups.values()]
    with_names, common = named(candidates)
    rows, how = ranked_rows(with_names, wanted)
    why: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.missing:
            why[row.missing].append(row.name)
    missing = [f"No average for {_listed(names)}: {reason}" for reason, names in why.items()]
    chosen_apart = any(row.select == "heldout" for row in rows)
    ceilings = ceiling_line([record for group in groups.values() for record in group.values()], wanted.columns)
    notes = ((OPTIMISTIC,) if chosen_apart else ()) + ceilings
    return Board(name, wanted.suite, wanted.columns, tuple(rows), tuple(left_out), notes, common, how, tuple(missing))


def _listed(names: Sequence[str]) -> str:
    return "; ".join(names) if len(names) <= 3 else f"{len(names)} rows"


def _candidate(records: Sequence[Record], wanted: Wanted) -> Candidate:
    """One plan's seeds."""
    seeds = Experiment("", tuple(records))
    plan, latest = seeds.plan, max(records, key=lambda record: record.started)
    values = {column: seeds.stat(column.task, column.key) for column in wanted.columns}
    average, variance = seeds.average_over(wanted.members) or (None, None)
    tasks = [task for task in dict.fromkeys(column.task for column in wanted.columns) if task in latest.scores]
    commit = (latest.environment.get("commit") or "")[:10]
    row = BoardRow(
        source="run",
        average=average,
        without_luck=seeds.without_luck(wanted.members),
        values={column: found for column, found in values.items() if found},
        mixing=plan.mixing if len(latest.mix) > 1 else "",
        data=_data(plan, records),
        seeds=len(records),
        invalid=invalid_percent([record.scores[task] for record in records for task in tasks if task in record.scores]),
        examples=sum(latest.scores[task].n for task in tasks),
        scored_on={task: fingerprints(latest, task).get("validation") for task in tasks},
        missing="" if average else _missing(records, values, wanted),
        undefined=tuple(column for column in values if seeds.is_undefined(column.task, column.key)),
        runs=tuple(record.id for record in records),
        digest=latest.digest,
        date=latest.started[:10],
        commit=f"{commit} changed" if commit and latest.environment.get("dirty") else commit,
        select=said(plan, "select") or "",
        family=latest.environment.get("model", {}).get("family", ""),
        parameters=latest.parameters.get("total"),
        steps=None if plan.is_scored else plan.steps,
        **{name: said(plan, name) for name in ("model", "method", "limit", "temperature")},
    )
    return Candidate(row, records, variance)


def _missing(records: Sequence[Record], values: Mapping[BoardColumn, Stat | None], wanted: Wanted) -> str:
    """What an average lacks."""
    if not wanted.members:
        return f"{wanted.suite} has none"
    needed = {value for member in wanted.members for value in member}
    lacking = [column for column, found in values.items() if found is None and column[:2] in needed]
    scored = [column for column in lacking if all(column.task in record.scores for record in records)]
    absent = dict.fromkeys(column.group for column in lacking if column not in scored)
    undefined = [column.label for column in scored]
    parts = (f"{what}: {', '.join(of)}" for what, of in (("not scored", absent), (UNDEFINED, undefined)) if of)
    return "; ".join(parts)


def _data(plan: Plan, records: Sequence[Record]) -> str:
    """Real or demo, and everything that makes a score not comparable to one on the whole data."""
    different = {id(record.data): record.data for record in records}.values()  # summaries share what is alike
    splits = [facts for data in different for roles in data.values() for facts in roles.values()]
    is_subset = any(facts.get("rows", 0) < (facts.get("official") or 0) for facts in splits)
    marks = {
        plan.data if plan.is_demo else "real": True,
        "subset": is_subset and not plan.is_demo,
        f"{plan.train_limit} rows of train": plan.train_limit is not None,
        HELD_OUT: plan.select == "heldout",
        f"steps chosen on {plan.eval_limit} examples": plan.eval_limit is not None,
    }
    return ", ".join(mark for mark, holds in marks.items() if holds)


def _with_published(board: Board, published: Published, registry: Registry, whole: bool) -> Board:
    """The board with the paper's rows below its own: they take no part in the ranking."""
    columns = {(column.task, column.key): column for column in board.columns}
    suite = board.suite.removesuffix("-all")  # what it adds is in no average
    rows = []
    for result in published.results:
        values = {}
        for (task, key), value in result.values.items():
            if column := columns.get((registry.aliases.get(task, task), key)):
                values[column] = Stat(value, result.deviations.get((task, key)))
        average = result.averages.get(suite) if whole else None  # printed over all tasks
        if values:
            row = BoardRow(
                source=f"published: {published.short}",
                model=published.model,
                method=result.configuration,
                name=result.configuration,
                average=None if average is None else Stat(average, result.average_deviations.get(suite)),
                values=values,
                data="real",
                seeds=result.runs,
            )
            rows.append(row)
    notes = (*board.notes, published.source, *published.notes) if rows else board.notes
    return replace(board, rows=(*board.rows, *rows), notes=notes)
