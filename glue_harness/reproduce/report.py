"""A reproduced table: what stands below it, and the texts of its files."""

from __future__ import annotations

import math

from glue_harness.report.console import one_line
from glue_harness.report.formats import csv, md
from glue_harness.reproduce.table import AVERAGE, Compared, ReproducedTable, neighbours, same_order


def remarks(table: ReproducedTable) -> list[str]:
    """What stands below the table: whether the rows that both sides have an average of are in the same order."""
    averages = [(row.configuration, row.cells[0]) for row in table.rows] if table.columns[0] == AVERAGE else []
    averages = [(name, cell) for name, cell in averages if cell.difference is not None]
    order = same_order([cell for _, cell in averages])
    if order is None:
        return list(table.notes)
    said = (
        f"Order by average: Spearman's rank correlation with the paper is {order.rho:.2f}, n = {order.n} rows, "
        f"p = {order.p:.2g} if the order were chance."
    )
    pairs = "; ".join(
        f"{pair.better} over {pair.worse} {'unknown' if math.isnan(pair.probability) else f'{pair.probability:.2f}'}"
        + {True: "", False: " (the paper: under)", None: " (the paper: equal)"}[pair.is_theirs]
        for pair in neighbours(averages)
    )
    return [said, f"How probable our order of neighbouring rows is: {pairs}.", *table.notes]


def shown(cell: Compared) -> tuple[str, str, str]:
    """Ours, theirs, the difference."""
    ours, theirs = ("-" if value is None else f"{value:.2f}" for value in (cell.ours, cell.theirs))
    if cell.difference is None:
        return ours, theirs, "-"
    half = "" if cell.difference_half != cell.difference_half else f" ±{cell.difference_half:.2f}"
    return ours, theirs, f"{cell.difference:+.2f}{half}"


def markdown(table: ReproducedTable) -> str:
    def plain(text: str) -> str:
        """A title of a user's task, or a folder's name, may hold anything."""
        return md.escaped(one_line(text))

    rows = [["Row", "As run", "Seeds", *table.columns]]
    for row in table.rows:
        cells = ["{} / {} ({})".format(*shown(cell)) for cell in row.cells]
        rows.append([row.configuration, row.settings, str(row.seeds), *cells])
    drawn = md.drawn([[plain(text) for text in row] for row in rows])
    before, after = (map(plain, texts) for texts in (table.head, remarks(table)))
    return "\n\n".join([f"# {plain(table.title)}", *before, drawn, *after]) + "\n"


def as_csv(table: ReproducedTable) -> str:
    """A line for each cell, as pandas likes it."""
    names = ("ours", "ours_half", "published", "published_half", "difference", "difference_half")
    rows = []
    for row in table.rows:
        for title, cell in zip(table.columns, row.cells, strict=True):
            numbers = (cell.ours, cell.half, cell.theirs, cell.their_half, cell.difference, cell.difference_half)
            finite = [None if number is None or number != number else round(number, 4) for number in numbers]
            what = {"table": table.name, "row": row.configuration, "as_run": row.settings, "column": title}
            values = zip(names, finite, strict=True)
            rows.append({**what, "seeds": row.seeds, **dict(values), "runs": " ".join(row.runs)})
    return csv.text_of(rows)
