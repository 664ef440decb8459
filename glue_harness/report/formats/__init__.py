"""Output formats: one file each, named as its file ending, with `render(board) -> str`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pkgutil import iter_modules

from glue_harness.core.errors import unknown
from glue_harness.report.console import UNDEFINED, one_line
from glue_harness.report.costs import written as costs_written
from glue_harness.report.experiments import Stat
from glue_harness.report.rows import Board, BoardRow, mixing

COLUMNS: dict[str, Callable[[BoardRow], object]] = {  # of the tables that people read
    "Rank": lambda row: "" if row.rank is None else row.rank,
    "P(best)": lambda row: share(row.best),
    "Source": lambda row: row.source,
    "Model": lambda row: row.model,
    "Family": lambda row: row.family,
    "Parameters": lambda row: "" if row.parameters is None else f"{row.parameters / 1e6:.1f} M",
    "Method": lambda row: row.method,
    "Settings": lambda row: row.settings,
    "Average": lambda row: with_spread(row.average),
    "Without luck": lambda row: honest(row),
    "Mixing": lambda row: mixing(row),
    "Steps": lambda row: "" if row.steps is None else row.steps,
    "Seeds": lambda row: row.seeds,
    "Data": lambda row: row.data,
    "Invalid %": lambda row: "" if row.invalid is None else f"{row.invalid:.2f}",
    "Runs": lambda row: " ".join(row.runs),
    "Date": lambda row: row.date,
    "Commit": lambda row: row.commit,
}
COSTS: dict[str, Callable[[BoardRow], object]] = {  # where they were asked for
    "Bytes": lambda row: costs_of(row)["bytes"],
    "Not zero": lambda row: costs_of(row)["nonzero"],
    "ms": lambda row: costs_of(row)["milliseconds"],
    "Examples/s": lambda row: costs_of(row)["examples_per_second"],
}
SIGNS = {  # what a sign in a table means; the values it stands behind say which are needed
    "±": "± half of the 95 % interval, over examples (one seed) or over seeds and examples (three and more)",
    "σ": "σ standard deviation over seeds (two of ours, or as published); no interval",
    UNDEFINED: "undefined: no value for some answers, as a correlation has none of equal ones, or if one is no number",
    "P(best)": "P(best) the probability that a row's true average is the highest of the ranked ones",
    "without luck": "without luck: the average without the luck of choosing the best of several steps",
}


def names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def costs_of(row: BoardRow) -> dict[str, str]:
    return costs_written(row.cost)


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
    for name in (*columns, *(COSTS if board.has_costs else ())):
        of_tasks = board.columns if name == "Average" else ()
        lines[0] += [name, *(column.label for column in of_tasks)]
        for line, row in zip(lines[1:], board.rows, strict=True):
            cells = (UNDEFINED if c in row.undefined else with_spread(row.values.get(c)) for c in of_tasks)
            line += [(COLUMNS | COSTS)[name](row), *cells]
    return [[one_line(str(cell)) for cell in line] for line in lines]


def remarks(board: Board) -> list[str]:
    """What stands below the table."""
    left_out = (f"Left out: {run}: {why}" for run, why in board.left_out)
    return [one_line(text) for text in (*board.ranking, *legend(board), *board.missing, *left_out, *board.notes)]


def legend(board: Board) -> list[str]:
    """What the signs of its table mean."""
    stats = [stat for row in board.rows for stat in (row.average, *row.values.values())]
    used = {sign for sign in map(sign_of, stats) if sign} | {"P(best)" for row in board.rows if row.best is not None}
    used |= {"without luck" for row in board.rows if row.without_luck is not None}
    used |= {UNDEFINED for row in board.rows if row.undefined}
    return [text for sign, text in SIGNS.items() if sign in used]


def sign_of(stat: Stat | None) -> str:
    """± before half of an interval, σ before a deviation over seeds that has none."""
    return "" if stat is None else "±" if stat.low is not None else "σ" if stat.deviation is not None else ""


def spread(stat: Stat | None) -> str:
    """How sure a value is, behind the sign that says in which way."""
    if stat is None or not (sign := sign_of(stat)):
        return ""
    return f"{sign}{stat.half_width if sign == '±' else stat.deviation:.2f}"


def with_spread(stat: Stat | None) -> str:
    """Two decimals as in the literature, and how sure they are."""
    return "" if stat is None else f"{stat.mean:.2f} {spread(stat)}".rstrip()


def share(probability: float | None) -> str:
    """Two decimals; nothing is called impossible or sure."""
    if probability is None:
        return ""
    return "<0.01" if probability < 0.005 else ">0.99" if probability >= 0.995 else f"{probability:.2f}"


def honest(row: BoardRow) -> str:
    """The average without the luck of choosing steps."""
    return "" if row.without_luck is None else f"{row.without_luck:.2f}"


def written(stat: Stat | None) -> str:
    """Two decimals, with the deviation over seeds where there is one."""
    if stat is None:
        return ""
    return f"{stat.mean:.2f}" + ("" if stat.deviation is None else f" σ{stat.deviation:.2f}")
