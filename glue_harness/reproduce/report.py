"""A reproduced table: its head, and the texts of its files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from glue_harness.models.families import FROM_SCRATCH
from glue_harness.report.console import one_line
from glue_harness.report.formats.csv import safe
from glue_harness.report.formats.md import escaped
from glue_harness.reproduce import ROWS, Line
from glue_harness.reproduce.order import Order, same_order
from glue_harness.reproduce.scale import Scale
from glue_harness.reproduce.table import AVERAGE, Cell, Row, Table

SCALED = "A scaled run: it compares the order of the rows with the paper's, not the level of the scores."
CELLS = "Each cell: ours, the paper's, and the difference with half its 95 % interval."


def head(scale: Scale, lines: Sequence[Line], recipe: str, seeds: int) -> tuple[str, ...]:
    """What was done otherwise than in the paper, and what the numbers mean."""
    plan = scale.plan
    said = [] if scale.is_full else [SCALED]
    said.append(
        f"{last(plan.model)}, data {last(plan.data)}, tasks {', '.join(plan.tasks)}: {plan.steps:,} steps of "
        f"{plan.update}, and {scale.pretrain_steps:,} before them where a row pre-trains or mixes. The paper: T5-Base "
        "(220M), 2^18 steps of 2^16 tokens, and 2^19 before them."
    )
    said += [start(scale), recipe + "."]
    if not scale.is_full and any("K=" in line.settings for line in lines):
        limits = ", ".join(f"2^{power} is {scale.limit(2.0**power):,.0f}" for power in (16, 19, 21))
        said.append(
            f"K keeps its place between the smallest and the largest task on a logarithmic scale: {limits}. "
            "T is a power of the rates and stays."
        )
    widths = [ROWS[line.configuration].settings.get("adapter_width") for line in lines]
    if any(width and scale.width(width) != width for width in widths):
        said.append("Adapters are as wide in proportion to the model as in the paper.")
    spread = (
        f"the spread over {seeds} seeds" if seeds >= 3 else "the bootstrap over evaluation examples, not over seeds"
    )
    said.append(f"{CELLS} Ours has {spread}; the paper's is that of its baseline over ten runs.")
    return tuple(said)


def last(place: str) -> str:
    """A folder by its own name: what is above it belongs to the machine."""
    return Path(place).resolve().name if Path(place).is_dir() else place


def start(scale: Scale) -> str:
    model = scale.plan.model
    if scale.pretrains:
        return "Tuned rows start from a model that was pre-trained here, on text alone; the others from random weights."
    if model in FROM_SCRATCH:
        return "There is no text: every row starts from random weights, and no mixture holds span corruption."
    text = "" if scale.with_text else ", and no mixture holds span corruption"
    return (
        f"Every row starts from {last(model)}, whose makers chose what it was pre-trained on{text}; the paper tunes a "
        "model that read text alone, and trains the rows of Tables 11 and 12 from random weights "
        "(--model t5:base --tokenizer DIR --text DIR)."
    )


def order_of(table: Table) -> Order | None:
    """Over the rows that both sides have an average of."""
    if table.columns[0] != AVERAGE:
        return None
    cells = [row.cells[0] for row in table.rows if row.cells[0].difference is not None]
    return same_order(
        [cell.ours for cell in cells],
        [cell.half for cell in cells],
        [cell.theirs for cell in cells],
        [cell.their_half for cell in cells],
    )


def said_of_order(table: Table) -> str:
    order = order_of(table)
    if order is None:
        return ""
    return (
        f"Order by average: Spearman's rank correlation with the paper is {order.rho:.2f} "
        f"(95 % {order.low:.2f} to {order.high:.2f} under the noise of both), n = {order.n} rows, "
        f"p = {order.p:.2g} if the order were chance."
    )


def remarks(table: Table) -> list[str]:
    return [text for text in (said_of_order(table), *table.notes) if text]


def shown(cell: Cell) -> tuple[str, str, str]:
    """Ours, theirs, the difference."""
    ours, theirs = ("-" if value is None else f"{value:.2f}" for value in (cell.ours, cell.theirs))
    if cell.difference is None:
        return ours, theirs, "-"
    half = "" if cell.difference_half != cell.difference_half else f" ±{cell.difference_half:.2f}"
    return ours, theirs, f"{cell.difference:+.2f}{half}"


def markdown(table: Table) -> str:
    lines = [["Row", "As run", "Seeds", *table.columns]]
    for row in table.rows:
        cells = ["{} / {} ({})".format(*shown(cell)) for cell in row.cells]
        lines.append([row.configuration, row.settings, str(row.seeds), *cells])
    head, *rows = ([plain(text) for text in line] for line in lines)
    drawn = "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))
    before, after = (map(plain, texts) for texts in (table.head, remarks(table)))
    return "\n\n".join([f"# {plain(table.title)}", *before, drawn, *after]) + "\n"


def plain(text: str) -> str:
    """A title of a user's task, or a folder's name, may hold anything."""
    return escaped(one_line(text))


FIELDS = ("table", "row", "as_run", "column", "seeds", "ours", "ours_half", "published", "published_half")
FIELDS += ("difference", "difference_half", "runs")


def as_csv(table: Table) -> str:
    """A line for each cell, as pandas likes it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in table.rows:
        writer.writerows(
            [safe(value) for value in fields(table, row, title, cell)]
            for title, cell in zip(table.columns, row.cells, strict=True)
        )
    return file.getvalue()


def fields(table: Table, row: Row, title: str, cell: Cell) -> list[object]:
    numbers = (cell.ours, cell.half, cell.theirs, cell.their_half, cell.difference, cell.difference_half)
    finite = [None if number is None or number != number else round(number, 4) for number in numbers]
    return [table.name, row.configuration, row.settings, title, row.seeds, *finite, " ".join(row.runs)]
