"""A board on the terminal: one table at every width, laid out here, not by rich, for a row's name spans the table."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from glue_harness.report.console import UNDEFINED, one_line
from glue_harness.report.costs import HEADINGS
from glue_harness.report.experiments import Stat
from glue_harness.report.formats import costs_of, honest, legend, share, spread
from glue_harness.report.rows import Board, BoardColumn, BoardRow

MOST_ROWS = 50  # that anyone reads on a terminal
GAP = "  "
Styled = tuple[str, str]  # lines, and their style


class Column(NamedTuple):
    """One column of the grid: its heading, and for each row what stands below each other."""

    heading: list[str]
    cells: list[list[str]]
    width: int


def column_of(heading: list[str], cells: list[list[str]]) -> Column:
    return Column(heading, cells, max(map(len, [*heading, *(line for cell in cells for line in cell)]), default=0))


def drawn(board: Board, width: int) -> Iterator[Styled]:
    """The table, then what a reader must know, none of it wider than the screen."""
    rows = board.rows[:MOST_ROWS]
    yield f"{_wrapped(f'{board.name}: {board.common}' if board.common else board.name, width)}\n", "bold"
    for beside in (True, False):
        columns = _columns(board, rows, beside)
        if sum(column.width + len(GAP) for column in columns) <= width:
            yield _grid(columns, rows, width), ""
            break
    else:
        yield _blocks(board, rows, width), ""
    left = len(board.rows) - len(rows)
    more = [f"{left} more row{'s' if left > 1 else ''}: in the files, or --format json"] if left else []
    for remark in (*more, *board.ranking, *legend(board), *board.missing, *board.notes):
        yield _wrapped(remark, width), "dim"


def _columns(board: Board, rows: Sequence[BoardRow], beside: bool) -> list[Column]:
    """The values of one task stand above each other; how sure each is stands beside it, or below."""

    def cell(stat: Stat | None, lacking: str = "-") -> list[str]:
        if stat is None:
            return [lacking] if beside else [lacking, ""]
        texts = [f"{stat.mean:.2f}", spread(stat)]
        return [" ".join(texts).rstrip()] if beside else texts

    groups: dict[str, list[BoardColumn]] = defaultdict(list)
    for column in board.columns:
        groups[column.group].append(column)
    found = [column_of(["#"], [["-" if row.rank is None else str(row.rank)] for row in rows])]
    if any(row.best is not None for row in rows):
        found.append(column_of(["P(best)"], [[share(row.best)] for row in rows]))
    found.append(column_of(["average"], [cell(row.average) for row in rows]))
    if any(row.without_luck is not None for row in rows):
        found.append(column_of(["without", "luck"], [[honest(row)] for row in rows]))
    for group, columns in groups.items():
        heading = [group, *(column.label.removeprefix(group).strip(" -") for column in columns)]
        cells = [
            [line for column in columns for line in cell(row.values.get(column), lacking(row, column))] for row in rows
        ]
        found.append(column_of([one_line(line) for line in heading if line], cells))
    for name, title in HEADINGS.items() if board.has_costs else ():
        found.append(column_of(title.split(), [[costs_of(row)[name]] for row in rows]))
    return found


def lacking(row: BoardRow, column: BoardColumn) -> str:
    return UNDEFINED if column in row.undefined else "-"


def _grid(columns: Sequence[Column], rows: Sequence[BoardRow], width: int) -> str:
    """Of each row a line that says what it is, and its values below."""
    first = columns[0].width
    lines = _laid([[""] * (_height(columns) - len(c.heading)) + c.heading for c in columns], columns)
    lines.append(" " + "─" * (max(map(len, lines), default=1) - 1))
    for k, row in enumerate(rows):
        lines += _described(row, first, width)
        lines += _laid([[], *(column.cells[k] for column in columns[1:])], columns)
    return "\n".join(lines) + "\n"


def _height(columns: Sequence[Column]) -> int:
    return max(len(column.heading) for column in columns)


def _laid(cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> list[str]:
    """Cells beside each other, aligned right, as many lines as the tallest has."""
    lines = []
    for k in range(max(map(len, cells))):
        texts = (cell[k] if k < len(cell) else "" for cell in cells)
        lines.append(" " + GAP.join(text.rjust(c.width) for text, c in zip(texts, columns, strict=True)).rstrip())
    return [line for line in lines if line.strip()]


def _described(row: BoardRow, first: int, width: int) -> list[str]:
    """Its rank and what it is."""
    if row.source == "run":
        facts = [f"{row.seeds} seed{'s' if row.seeds > 1 else ''}", row.data, f"plan {row.digest}"]
        what = f"{row.name}: {', '.join(facts)}, {row.invalid or 0:.1f} % invalid"
    else:
        what = f"{row.method}: published, {row.model}"
    rank = f" {'-' if row.rank is None else row.rank:>{first}}{GAP}"
    return _wrapped(what, width, rank).split("\n")


def _blocks(board: Board, rows: Sequence[BoardRow], width: int) -> str:
    """The same where the tasks are too many to stand beside each other: they become the rows."""
    first = max([1, *(len(str(row.rank or "-")) for row in rows)])
    names = {column: one_line(column.label) for column in board.columns}
    room = max(map(len, ["without luck", *names.values()]))
    lines = [f" {'#':>{first}}{GAP}{'task':<{room}}{GAP}{'score':>6}", " " + "─" * (width - 1)]
    for row in rows:
        lines += _described(row, first, width)
        if row.best is not None:
            lines.append(f" {'':{first}}{GAP}{'P(best)':<{room}}{GAP}{share(row.best):>6}")
        if row.without_luck is not None:
            lines.append(f" {'':{first}}{GAP}{'without luck':<{room}}{GAP}{honest(row):>6}")
        values = ((names[c], row.values.get(c), lacking(row, c)) for c in board.columns)
        for name, stat, instead in [("average", row.average, "-"), *values]:
            score = instead if stat is None else f"{stat.mean:.2f}"
            lines.append(f" {'':{first}}{GAP}{name:<{room}}{GAP}{score:>6} {spread(stat)}".rstrip())
        for name, text in costs_of(row).items() if row.cost else ():
            lines.append(f" {'':{first}}{GAP}{HEADINGS[name]:<{room}}{GAP}{text:>6}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int, before: str = "") -> str:
    """Broken between words, where that is possible; what follows stands below what stands first."""
    return textwrap.fill(
        one_line(text),
        max(width, len(before) + 10),
        initial_indent=before,
        subsequent_indent=" " * len(before),
        break_on_hyphens=False,
    )
