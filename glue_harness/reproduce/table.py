"""Ours beside what was published: means over tasks, how sure the difference is, and whether the order is the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, variance
from typing import NamedTuple

import numpy as np

from glue_harness.core.record import Record, Score
from glue_harness.lab.strategy import Brief, scores_of
from glue_harness.metrics.correlation import rank_correlations
from glue_harness.metrics.student import t_cdf, t_quantile
from glue_harness.report.experiments import label
from glue_harness.report.published import Published, TaskKey
from glue_harness.reproduce.configuration import Configuration
from glue_harness.suite.registry import Registry

NORMAL_975 = t_quantile(0.975, math.inf)
REPORTED = {"cnn_dailymail": ("rouge2",), "squad": ("em",)}  # one value of several, where the paper's tables print one
SHORT = {"glue": "GLUE", "superglue": "SGLUE", "cnn_dailymail": "CNNDM"}
AVERAGE = "Average"
DRAWS = 4000


@dataclass(frozen=True)
class PaperColumn:
    """A mean over tasks of the mean over each one's values."""

    title: str
    tasks: tuple[tuple[TaskKey, ...], ...]  # the values of each
    suite: str = ""  # if it is that suite's average

    def value(self, values: Mapping[TaskKey, float]) -> float | None:
        if any(key not in values for keys in self.tasks for key in keys):
            return None
        return fmean(fmean(values[key] for key in keys) for keys in self.tasks)

    def spread(self, spreads: Mapping[TaskKey, float]) -> float:
        """The spread of the mean, if tasks vary independently of each other and a task's values together."""
        return math.hypot(*(fmean(spreads.get(key, math.nan) for key in keys) for keys in self.tasks)) / len(self.tasks)


class Compared(NamedTuple):
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
        """Of ours alone where it is not known how far theirs varies: the head of the table says so."""
        return self.half if math.isnan(self.their_half) else math.hypot(self.half, self.their_half)


@dataclass(frozen=True)
class TableRow:
    configuration: str
    settings: str  # as it was run
    seeds: int
    runs: tuple[str, ...]
    cells: tuple[Compared, ...]  # one a column


@dataclass(frozen=True)
class ReproducedTable:
    name: str  # table11, table11-scaled, table11-demo
    title: str
    head: tuple[str, ...]  # what a reader has to know before the numbers
    columns: tuple[str, ...]  # their titles
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]


def table_of(
    name: str,
    kind: str,
    head: Sequence[str],
    made: Sequence[tuple[Configuration, Sequence[Sequence[Record]]]],
    brief: Brief,
    published: Published,
    why_left_out: str,
) -> ReproducedTable:
    """The table from the records of every configuration, one list a seed."""
    theirs = published.tables[name]
    columns = columns_of(brief, theirs.by_value)
    rows = []
    for one, of_seeds in made:
        scores = [scores_of(one.stages, records, brief.registry) for records in of_seeds]
        runs = tuple(record.id for records in of_seeds for record in records)
        cells = compare(one.name, scores, columns, published, brief.registry)
        rows.append(TableRow(one.name, one.settings, len(of_seeds), runs, cells))
    titles = tuple(column.title for column in columns)
    if not theirs.by_value and len(columns) > 1:
        rows = [replace(row, cells=(average(row.cells), *row.cells)) for row in rows]
        titles = (AVERAGE, *titles)
    left_out = [row for row in theirs.rows if row not in {one.name for one, _ in made}]
    notes = [f"{row}: {text}" for row, text in theirs.footnotes.items()]
    notes += [f"{row}: not made, {why_left_out}" for row in left_out]
    if published.source:
        notes.append(f"Published: {published.source}; {theirs.title}.")
    else:
        notes += [f"Published, {row}: {published.result(row).source}." for row in theirs.rows]
    return ReproducedTable(name + kind, theirs.title, tuple(head), titles, tuple(rows), tuple(notes))


def columns_of(brief: Brief, by_value: bool) -> list[PaperColumn]:
    """One for each unit; or one for every single value, as in Table 16."""
    registry, columns = brief.registry, []
    for unit in brief.units:
        suite = unit if unit in registry.suites else ""
        members = [registry.task(name) for name in registry.suites.get(unit, (unit,))]
        scored = [registry.scorers(task) for task in members if task.part != "companion"]
        if by_value:
            every = [(task, key) for scorers in scored for task in scorers for key in task.keys]
            columns += [
                PaperColumn(label(task.title or task.name, key, task.keys), (((task.name, key),),))
                for task, key in every
            ]
            continue
        values = tuple(
            tuple((task.name, key) for task in scorers for key in REPORTED.get(task.name, task.keys))
            for scorers in scored
        )
        columns.append(PaperColumn(SHORT.get(unit) or suite or registry.task(unit).title or unit, values, suite))
    return columns


def compare(
    configuration: str,
    of_seeds: Sequence[Mapping[str, Score]],
    columns: Sequence[PaperColumn],
    published: Published,
    registry: Registry,
) -> tuple[Compared, ...]:
    """Each seed's scores by task against the published ones, column by column.

    T5's paper repeated its baseline only, and takes its deviation for that of every row; others print none.
    """

    def by_our_names(values: Mapping[TaskKey, float]) -> dict[TaskKey, float]:
        return {(registry.aliases.get(task, task), key): value for (task, key), value in values.items()}

    baseline, result = published.results[0], published.result(configuration)
    values, deviations = by_our_names(result.values), by_our_names(baseline.deviations)
    cells = []
    for column in columns:
        printed = result.averages.get(column.suite, column.value(values))
        deviation = baseline.average_deviations.get(column.suite, column.spread(deviations))
        half = t_quantile(0.975, baseline.runs - 1) * deviation / math.sqrt(result.runs) if deviations else math.nan
        cells.append(Compared(*our_value(column, of_seeds), printed, half))
    return tuple(cells)


def half_of(low: float | None, high: float | None) -> float:
    return math.nan if low is None or high is None else (high - low) / 2


def our_value(column: PaperColumn, of_seeds: Sequence[Mapping[str, Score]]) -> tuple[float | None, float]:
    """Mean and half its 95 % interval, of V = s^2/k + e^2: over k seeds, and over examples.

    All seeds answer the same examples, whose noise e^2 more seeds do not take away: it is the mean of each seed's own.
    Student's t has Satterthwaite's degrees of freedom, V^2 / ((s^2/k)^2 / (k-1)). With one seed V is e^2.
    """
    values = [
        column.value({(task, key): v for task, s in scores.items() for key, v in s.metrics.items() if v is not None})
        for scores in of_seeds
    ]
    found = [value for value in values if value is not None]
    if not found or len(found) < len(values):
        return None, math.nan
    halves = []
    for scores in of_seeds:
        of_values = {(task, key): half_of(*bounds) for task, s in scores.items() for key, bounds in s.intervals.items()}
        halves.append(column.spread(of_values))
    of_examples, k = fmean((half / NORMAL_975) ** 2 for half in halves), len(found)
    of_seeds_alone = variance(found) / k if k > 1 else 0.0
    whole = of_examples + of_seeds_alone
    df = whole**2 * (k - 1) / of_seeds_alone**2 if of_seeds_alone else math.inf
    return fmean(found), t_quantile(0.975, df) * math.sqrt(whole)


def average(cells: Sequence[Compared]) -> Compared:
    """Over the columns, which the paper does not print: it ranks the rows."""
    ours, half, theirs, their_half = zip(*cells, strict=True)
    mean, their_mean = (None if None in values else fmean(values) for values in (ours, theirs))
    return Compared(mean, math.hypot(*half) / len(cells), their_mean, math.hypot(*their_half) / len(cells))


class Order(NamedTuple):
    """Whether rows stand in the published order: Spearman's rank correlation.

    It has no interval: noise on ranks that are noisy already only ever takes from it.
    """

    rho: float
    p: float  # how often chance alone gives an order as like or as unlike
    n: int


def same_order(cells: Sequence[Compared]) -> Order | None:
    """None below three rows, or where one side's rows are all equal."""
    n = len(cells)
    ours, _, theirs, _ = np.array(cells, dtype=float).reshape(n, 4).T
    if n < 3 or np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return None
    random = np.random.default_rng(0)
    rho = rank_correlations(ours[None], theirs[None])[0]
    shuffled = ours[np.stack([random.permutation(n) for _ in range(DRAWS)])]
    chance = rank_correlations(shuffled, np.broadcast_to(theirs, (DRAWS, n)))
    p = (1 + (np.abs(chance) >= abs(rho) - 1e-12).sum()) / (1 + DRAWS)
    return Order(float(rho), float(p), n)


class Neighbours(NamedTuple):
    """Two rows that are next to each other by our averages."""

    better: str
    worse: str
    probability: float  # that the better one truly is; NaN where the noise is not known
    is_theirs: bool | None  # whether they stand in this order in the paper; None for equals


def neighbours(rows: Sequence[tuple[str, Compared]]) -> list[Neighbours]:
    """P = Phi((a - b) / sqrt(se_a^2 + se_b^2)), as if both rows' noise were independent.

    Rows that answer the same examples share noise, which takes none of their order: P is rather too small.
    """
    known = [(c.ours, c.theirs, c.half, name) for name, c in rows if c.ours is not None and c.theirs is not None]
    known.sort(key=lambda row: -row[0])
    found = []
    for (ours, theirs, half, better), (less, their_less, other_half, worse) in pairwise(known):
        noise = math.hypot(half, other_half) / NORMAL_975
        sure = 0.5 if ours == less else 1.0
        probability = t_cdf((ours - less) / noise, math.inf) if noise else sure
        found.append(Neighbours(better, worse, probability, None if theirs == their_less else theirs > their_less))
    return found
