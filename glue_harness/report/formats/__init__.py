"""Output formats: one file each, named as its file ending, with `render(board) -> str`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules

from glue_harness.core.errors import unknown
from glue_harness.report.board import Board, Row, Stat
from glue_harness.report.console import one_line


def names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def renderer(name: str) -> Callable[[Board], str]:
    """The `render` of a format, or an error that names those that exist."""
    if name not in names():
        raise unknown("format", name, names())
    return import_module(f"{__name__}.{name}").render


def heading(board: Board) -> list[str]:
    """Columns of the table that people read."""
    values = [one_line(column.label) for column in board.columns]
    rest = ("Mixing", "Steps", "Seeds", "Data", "Invalid %", "Runs", "Date", "Commit")
    return ["Rank", "Source", "Model", "Method", "Average", *values, *rest]


def cells(board: Board) -> Iterator[list[str]]:
    """The rows below `heading`, each on one line without control characters: every format escapes for itself."""
    for row in board.rows:
        texts = [
            "" if row.rank is None else str(row.rank),
            row.source,
            row.model,
            row.method,
            written(row.average),
            *(written(row.values.get(column)) for column in board.columns),
            mixing(row),
            "" if row.steps is None else str(row.steps),
            str(row.seeds),
            row.data,
            "" if row.invalid is None else f"{row.invalid:.2f}",
            " ".join(row.runs),
            row.date,
            row.commit,
        ]
        yield [one_line(text) for text in texts]


def remarks(board: Board) -> list[str]:
    """What stands below the table."""
    return [one_line(text) for text in (*(f"Left out: {run}: {why}" for run, why in board.left_out), *board.notes)]


def written(stat: Stat | None) -> str:
    """Two decimals as in the literature, with the deviation over seeds where there is one."""
    if stat is None:
        return ""
    deviation = "" if stat.deviation is None else f" ±{stat.deviation:.2f}"
    return f"{stat.mean:.2f}{deviation}"


def mixing(row: Row) -> str:
    """How tasks were mixed, with the settings that this way of mixing heeds."""
    if row.mixing not in ("proportional", "temperature"):
        return row.mixing
    temperature = f" T={row.temperature:g}" if row.mixing == "temperature" else ""
    return row.mixing + temperature + ("" if row.limit is None else f" K={_power(row.limit)}")


def _power(limit: float) -> str:
    """Limits are mostly powers of two, and are written so."""
    fraction, exponent = math.frexp(limit)
    return f"2^{exponent - 1}" if fraction == 0.5 else f"{limit:.0f}"
