"""Output formats: one file each, named as its file ending, with `render(board) -> str`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from importlib import import_module
from pkgutil import iter_modules

from glue_harness.core.errors import unknown
from glue_harness.report.board import Board, BoardRow
from glue_harness.report.console import one_line
from glue_harness.report.experiments import Stat

COLUMNS: dict[str, Callable[[BoardRow], object]] = {  # of the tables that people read
    "Rank": lambda row: "" if row.rank is None else row.rank,
    "Source": lambda row: row.source,
    "Model": lambda row: row.model,
    "Method": lambda row: row.method,
    "Average": lambda row: written(row.average),
    "Mixing": lambda row: mixing(row),
    "Steps": lambda row: "" if row.steps is None else row.steps,
    "Seeds": lambda row: row.seeds,
    "Data": lambda row: row.data,
    "Invalid %": lambda row: "" if row.invalid is None else f"{row.invalid:.2f}",
    "Runs": lambda row: " ".join(row.runs),
    "Date": lambda row: row.date,
    "Commit": lambda row: row.commit,
}


def names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def renderer(name: str) -> Callable[[Board], str]:
    """The `render` of a format, or an error that names those that exist."""
    if name not in names():
        raise unknown("format", name, names())
    return import_module(f"{__name__}.{name}").render


def table(board: Board, columns: Iterable[str] = COLUMNS) -> list[list[str]]:
    """A heading and the rows below it, with the values of tasks behind the average.

    Each cell is on one line without control characters; every format escapes for itself.
    """
    lines: list[list[object]] = [[], *([] for _ in board.rows)]
    for name in columns:
        of_tasks = board.columns if name == "Average" else ()
        lines[0] += [name, *(column.label for column in of_tasks)]
        for line, row in zip(lines[1:], board.rows, strict=True):
            line += [COLUMNS[name](row), *(written(row.values.get(column)) for column in of_tasks)]
    return [[one_line(str(cell)) for cell in line] for line in lines]


def remarks(board: Board) -> list[str]:
    """What stands below the table."""
    return [one_line(text) for text in (*(f"Left out: {run}: {why}" for run, why in board.left_out), *board.notes)]


def written(stat: Stat | None) -> str:
    """Two decimals as in the literature, with the deviation over seeds where there is one."""
    if stat is None:
        return ""
    return f"{stat.mean:.2f}" + ("" if stat.deviation is None else f" ±{stat.deviation:.2f}")


def mixing(row: BoardRow) -> str:
    """How tasks were mixed, with the settings that this way of mixing heeds."""
    if row.mixing not in ("proportional", "temperature"):
        return row.mixing
    text = row.mixing + (f" T={row.temperature:g}" if row.mixing == "temperature" else "")
    if row.limit is None:
        return text
    fraction, exponent = math.frexp(row.limit)  # limits are mostly powers of two, and are written so
    return f"{text} K={f'2^{exponent - 1}' if fraction == 0.5 else f'{row.limit:.0f}'}"
