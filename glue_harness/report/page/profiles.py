"""Performance profiles of a board's rows over the tasks and seeds that all of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from glue_harness.core.record import Record
from glue_harness.metrics.profiles import profile
from glue_harness.report.rows import Board, BoardColumn, BoardRow

MOST_ROWS = 6  # the best: more lines could not be told apart
FEWEST_SCORES = 3  # of each row, over tasks and seeds: a profile of fewer is a step or two
POINTS = 61


def profile_facts(board: Board, records: Mapping[str, Record]) -> dict[str, Any] | None:
    """Of the best rows that are ranked, or where none has an average, of those scored on the same data.

    None where there are too few rows or scores.
    """
    able = [row for row in board.rows if row.rank is not None] or _on_same_data(board.rows)
    rows = able[:MOST_ROWS]
    groups: dict[str, list[BoardColumn]] = {}
    for column in board.columns:
        groups.setdefault(column.group, []).append(column)
    scores: list[list[list[float]]] = [[] for _ in rows]
    tasks = []
    for group, columns in groups.items():
        of_rows = [_of_seeds([records[run] for run in row.runs], columns) for row in rows]
        if of_rows and all(of_rows):
            tasks.append(group)
            for of_row, seeds in zip(scores, of_rows, strict=True):
                of_row.append(seeds)
    if len(rows) < 2 or any(sum(map(len, of_row)) < FEWEST_SCORES for of_row in scores):
        return None
    everything = [value for of_row in scores for seeds in of_row for value in seeds]
    low, high = min(everything) - 1, max(everything) + 1
    bounds = [round(low + (high - low) * k / (POINTS - 1), 3) for k in range(POINTS)]
    curves = []
    for row, of_row in zip(rows, scores, strict=True):
        found = profile(of_row, bounds)
        parts = [[round(value, 3) for value in values] if values else None for values in found]
        curves.append([row.runs[0], *parts])
    return {
        "bounds": bounds,
        "tasks": tasks,
        "curves": curves,
        "left_out": len(able) - len(rows),
    }


def _on_same_data(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """The most that share all rows of their tasks with one of them, as far as both were scored on them."""
    ours = [row for row in rows if row.runs]
    kinds = {repr(sorted(row.scored_on.items())): row.scored_on for row in ours}  # few, however many rows there are
    groups = [
        [row for row in ours if all(kind.get(task, of) == of for task, of in row.scored_on.items())]
        for kind in kinds.values()
    ]
    return max(groups, key=len, default=[])


def _of_seeds(records: Sequence[Record], columns: Sequence[BoardColumn]) -> list[float]:
    """A task's score of each seed, the mean of its values; none unless every seed has all of them."""
    found = []
    for record in records:
        values = [record.scores[c.task].metrics.get(c.key) for c in columns if c.task in record.scores]
        known = [value for value in values if value is not None]
        if len(known) < len(columns):
            return []
        found.append(fmean(known))
    return found
