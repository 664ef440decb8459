"""A reproduced table: its head, and the texts of its files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from glue_harness.models.families import is_from_scratch
from glue_harness.report.console import one_line
from glue_harness.report.formats import csv, md
from glue_harness.reproduce import CONFIGURATIONS, Configuration
from glue_harness.reproduce.scale import Scale
from glue_harness.reproduce.table import AVERAGE, Compared, ReproducedTable, neighbours, same_order

SCALED = "A scaled run: it compares the order of the rows with the paper's, not the level of the scores."
CELLS = "Each cell: ours, the paper's, and the difference with half its 95 % interval."


def head(scale: Scale, configurations: Sequence[Configuration], recipe: str, seeds: int) -> tuple[str, ...]:
    """What was done otherwise than in the paper, and what the numbers mean."""
    plan = scale.plan
    said = [] if scale.is_full else [SCALED]
    said.append(
        f"{last(plan.model)}, data {last(plan.data)}, tasks {', '.join(plan.tasks)}: {plan.steps:,} steps of "
        f"{plan.update}, and {scale.pretrain_steps:,} before them where a row pre-trains or mixes. The paper: T5-Base "
        "(220M), 2^18 steps of 2^16 tokens, and 2^19 before them."
    )
    if scale.pretrains:
        said.append(
            "Tuned rows start from a model that was pre-trained here, on text alone; the others from random weights."
        )
    elif is_from_scratch(plan.model):
        said.append("There is no text: every row starts from random weights, and no mixture holds span corruption.")
    else:
        text = "" if scale.with_text else ", and no mixture holds span corruption"
        said.append(
            f"Every row starts from {last(plan.model)}, whose makers chose what it was pre-trained on{text}; the paper "
            "tunes a model that read text alone, and trains the rows of Tables 11 and 12 from random weights "
            "(--model t5:base --tokenizer DIR --text DIR)."
        )
    said.append(recipe + ".")
    if not scale.is_full and any("K=" in one.settings for one in configurations):
        limits = ", ".join(f"2^{power} is {scale.limit(2.0**power):,.0f}" for power in (16, 19, 21))
        said.append(
            f"K keeps its place between the smallest and the largest task on a logarithmic scale: {limits}. "
            "T is a power of the rates and stays."
        )
    widths = [CONFIGURATIONS[one.name].settings.get("adapter_width") for one in configurations]
    if any(width and scale.width(width) != width for width in widths):
        said.append("Adapters are as wide in proportion to the model as in the paper.")
    over = (
        f"both {seeds} seeds and the evaluation examples in it"
        if seeds > 1
        else "the evaluation examples in it, not the luck of its one seed"
    )
    said.append(f"{CELLS} Ours has {over}; the paper's has the seeds of its baseline's ten runs.")
    return tuple(said)


def last(place: str) -> str:
    """A folder by its own name: what is above it belongs to the machine."""
    return Path(place).resolve().name if Path(place).is_dir() else place


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
