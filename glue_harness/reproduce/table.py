"""Ours beside what was published: means over tasks, how sure the difference is, and whether the order is the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from glue_harness.core.record import Record, Score
from glue_harness.lab.strategy import Brief, scores_of
from glue_harness.report.experiments import LEAST_SEEDS, label, stat
from glue_harness.report.published import Published, Result
from glue_harness.reproduce import Line
from glue_harness.suite.registry import Registry

Scores = Mapping[str, Score]  # task -> its score
Values = Mapping[tuple[str, str], float]  # task and key of its metric
NORMAL_975 = 1.96
REPORTED = {"cnn_dailymail": ("rouge2",), "squad": ("em",)}  # one value of several, where the paper's tables print one
SHORT = {"glue": "GLUE", "superglue": "SGLUE", "cnn_dailymail": "CNNDM"}
AVERAGE = "Average"
BY_VALUE = "table16"


@dataclass(frozen=True)
class Column:
    """A mean over tasks of the mean over each one's values."""

    title: str
    parts: tuple[tuple[tuple[str, str], ...], ...]
    suite: str = ""  # if it is that suite's average

    def value(self, values: Values) -> float | None:
        if any(pair not in values for part in self.parts for pair in part):
            return None
        return fmean(fmean(values[pair] for pair in part) for part in self.parts)

    def spread(self, spreads: Values) -> float:
        """The spread of the mean, if tasks vary independently of each other and a task's values together."""
        of_tasks = [fmean(spreads.get(pair, math.nan) for pair in part) for part in self.parts]
        return math.sqrt(sum(spread**2 for spread in of_tasks)) / len(of_tasks)


@dataclass(frozen=True)
class Cell:
    """One value, ours and theirs; `half` are half 95 % intervals."""

    ours: float | None
    half: float
    theirs: float | None
    their_half: float

    @property
    def difference(self) -> float | None:
        return None if self.ours is None or self.theirs is None else self.ours - self.theirs

    @property
    def difference_half(self) -> float:
        return math.hypot(self.half, self.their_half)


@dataclass(frozen=True)
class Row:
    configuration: str
    settings: str  # as it was run
    seeds: int
    runs: tuple[str, ...]
    cells: tuple[Cell, ...]  # one a column


@dataclass(frozen=True)
class Table:
    name: str  # table11, table11-scaled, table11-demo
    title: str
    head: tuple[str, ...]  # what a reader has to know before the numbers
    columns: tuple[str, ...]  # their titles
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def table_of(
    name: str,
    kind: str,
    head: Sequence[str],
    made: Mapping[str, tuple[Line, Sequence[Sequence[Record]]]],
    brief: Brief,
    published: Published,
) -> Table:
    """The table from the records of every row, one list a seed."""
    theirs = published.tables[name]
    columns = columns_of(brief, by_value=name == BY_VALUE)
    rows = []
    for configuration, (line, of_seeds) in made.items():
        scores = [scores_of(line.stages, records, brief.registry) for records in of_seeds]
        runs = [record.id for records in of_seeds for record in records]
        rows.append(row_of(configuration, line.settings, runs, scores, columns, published, brief.registry))
    titles = tuple(column.title for column in columns)
    if name != BY_VALUE and len(columns) > 1:
        rows = [replace(row, cells=(average(row.cells), *row.cells)) for row in rows]
        titles = (AVERAGE, *titles)
    missing = [f"{row}: not made, it needs a model from scratch" for row in theirs.rows if row not in made]
    footnotes = [f"{row}: {text}" for row, text in theirs.footnotes.items()]
    notes = (*footnotes, *missing, f"Published: {published.source}; {theirs.title}.")
    return Table(name + kind, theirs.title, tuple(head), titles, tuple(rows), notes)


def columns_of(brief: Brief, by_value: bool) -> tuple[Column, ...]:
    """One for each unit; or one for every single value, as in Table 16."""
    registry = brief.registry
    members = {unit: [pairs_of(name, registry) for name in scored_in(unit, registry)] for unit in brief.units}
    if by_value:
        return tuple(
            Column(label(registry.task(task).title or task, key, keys_of(part, task)), (((task, key),),))
            for parts in members.values()
            for part in parts
            for task, key in part
        )
    return tuple(
        Column(title_of(unit, registry), tuple(map(reported, parts)), unit if unit in registry.suites else "")
        for unit, parts in members.items()
    )


def keys_of(part: Sequence[tuple[str, str]], task: str) -> list[str]:
    return [key for name, key in part if name == task]


def scored_in(unit: str, registry: Registry) -> list[str]:
    return [name for name in registry.suites.get(unit, (unit,)) if registry.task(name).part != "companion"]


def pairs_of(name: str, registry: Registry) -> tuple[tuple[str, str], ...]:
    return tuple((task.name, key) for task in registry.scorers(registry.task(name)) for key in task.keys)


def reported(part: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((task, key) for task, key in part if key in REPORTED.get(task, (key,)))


def title_of(unit: str, registry: Registry) -> str:
    return SHORT.get(unit) or registry.task(unit).title or unit


def row_of(
    configuration: str,
    settings: str,
    runs: Sequence[str],
    of_seeds: Sequence[Scores],
    columns: Sequence[Column],
    published: Published,
    registry: Registry,
) -> Row:
    """A row: each seed's scores against the published ones."""
    result = published.result(configuration)
    theirs, deviations = named(result.values, registry), their_deviations(published, registry)
    shrink = 1 / math.sqrt(result.runs)
    cells = []
    for column in columns:
        ours, half = our_value(column, of_seeds)
        printed = result.averages.get(column.suite, column.value(theirs))
        deviation = published.results[0].average_deviations.get(column.suite, column.spread(deviations))
        cells.append(Cell(ours, half, printed, NORMAL_975 * deviation * shrink))
    return Row(configuration, settings, len(of_seeds), tuple(runs), tuple(cells))


def average(cells: Sequence[Cell]) -> Cell:
    """Over the columns, which the paper does not print: it ranks the rows."""
    ours, theirs = ([getattr(cell, side) for cell in cells] for side in ("ours", "theirs"))
    return Cell(
        None if None in ours else fmean(ours),
        math.hypot(*(cell.half for cell in cells)) / len(cells),
        None if None in theirs else fmean(theirs),
        math.hypot(*(cell.their_half for cell in cells)) / len(cells),
    )


def named(values: Mapping[tuple[str, str], float], registry: Registry) -> dict[tuple[str, str], float]:
    """Published values under our names of tasks."""
    return {(registry.aliases.get(task, task), key): value for (task, key), value in values.items()}


def their_deviations(published: Published, registry: Registry) -> dict[tuple[str, str], float]:
    """The paper repeated its baseline only, and takes its deviation for that of every row."""
    baseline: Result = published.results[0]
    return named(baseline.deviations, registry)


def our_value(column: Column, of_seeds: Sequence[Scores]) -> tuple[float | None, float]:
    """Mean and half interval: over three seeds or more, or over the examples of the first one."""
    values = [
        column.value({(task, key): v for task, s in scores.items() for key, v in s.metrics.items() if v is not None})
        for scores in of_seeds
    ]
    if not values or None in values:
        return None, math.nan
    if len(values) >= LEAST_SEEDS:
        found = stat(values)
        return found.mean, (found.high - found.low) / 2
    halves = {
        (task, key): (high - low) / 2 for task, s in of_seeds[0].items() for key, (low, high) in s.intervals.items()
    }
    return fmean(values), column.spread(halves) / math.sqrt(len(values))
