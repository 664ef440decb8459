"""`glue board`: the leaderboard of a suite, on the terminal and as files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import leaderboards_folder, open_registry, results_option, task_folders_option
from glue_harness.cli.streams import Names
from glue_harness.core.writing import write_atomic
from glue_harness.report.console import TableColumn, is_narrow, note, or_dash, say, show, table_of

if TYPE_CHECKING:
    from rich.table import Table

    from glue_harness.report.board import Board, BoardColumn, BoardRow

TO_STDOUT = "json"  # for pipes; the other formats are files
USUAL = ("csv", "md")


@click.command()
@click.option("--suite", default="glue", show_default=True, help="Suite of tasks, for example superglue.")
@click.option(
    "--format",
    "chosen",
    multiple=True,
    help="json (to stdout), csv, md, html, latex, or any other file of formats/.  [default: csv, md]",
)
@click.option("--published", is_flag=True, help="Show the rows of T5's Table 16 below, unranked.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=leaderboards_folder,
    show_default="leaderboards, or $GLUE_LEADERBOARDS",
    help="Folder to write to.",
)
@results_option
@task_folders_option
def command(suite: str, chosen: Names, published: bool, out: Path, results: Path, task_folders: Names) -> None:
    """Rank the finished runs of a suite, and write the board to files.

    A row is a plan with all its seeds. Runs on demo data have a board of their own. Only rows that were scored on the
    same data are ranked: the data that most rows share, or else the one with more examples. The others are marked
    "other data".

    \b
    glue board
    glue board --suite superglue --format html --published
    glue board --format json
    """
    from glue_harness.report import formats
    from glue_harness.report.board import make_boards
    from glue_harness.runs.store import Store

    for name in chosen:
        formats.renderer(name)
    records, broken = Store(results).summaries()
    boards = make_boards(records, open_registry(task_folders), suite, published)
    for path, reason in broken:
        note(f"skipped {path}: {reason}", style="yellow")
    filled = [board for board in boards if board.rows]
    if TO_STDOUT in chosen:
        render = formats.renderer(TO_STDOUT)
        click.echo("[" + ",\n".join(render(board) for board in filled) + "]")
    else:
        for board in boards:
            for made in drawn(board) if board.rows else ():
                show(made)
            for remark in board.notes:
                say(remark, style="dim")
            for run, reason in board.left_out:
                note(f"{board.name} leaves out {run}: {reason}")
    if not filled:
        remedy = f"make one with glue run --task {suite} --demo"
        note(f"no finished run of {suite} in {str(results)!r}: {remedy}", style=None)
    for board in filled:
        write_files(board, [name for name in chosen or USUAL if name != TO_STDOUT], out)


def write_files(board: Board, names: Iterable[str], folder: Path) -> None:
    from glue_harness.report.formats import renderer

    for name in names:
        path = folder / f"{board.name}.{name}"
        write_atomic(path, renderer(name)(board))
        note(f"wrote {path}")


def drawn(board: Board) -> list[Table]:
    """The values of one task stand above each other, what a row is stands last: on a narrow screen in a table below."""
    from glue_harness.report.formats import mixing, written

    def means(columns: Iterable[BoardColumn]) -> Callable[[BoardRow], str]:
        return lambda row: "\n".join(or_dash(v and v.mean, ".2f") for v in map(row.values.get, columns))

    def described(row: BoardRow) -> str:
        if row.source != "run":
            return f"{row.method}\npublished, {row.model}"
        what = ", ".join(filter(None, (row.model, row.method, mixing(row))))
        seeds = f"{row.seeds} seed{'s' if row.seeds > 1 else ''}"
        return f"{what}\n{row.steps} steps, {seeds}, {row.data}\nplan {row.digest}, {row.invalid:.1f} % invalid"

    groups = defaultdict(list)
    for column in board.columns:
        groups[column.group].append(column)
    place = [
        TableColumn("#", lambda row: or_dash(row.rank), right=True, whole=True),
        TableColumn("average", lambda row: written(row.average), right=True, whole=True),
    ]
    scores = [
        TableColumn(
            "\n".join([group, *(column.label.removeprefix(group).strip(" -") for column in columns)]).strip(),
            means(columns),
            right=True,
            whole=True,
        )
        for group, columns in groups.items()
    ]
    run = TableColumn("run", described)
    if not is_narrow():
        return [table_of(board.rows, [*place, *scores, run], board.name)]
    return [table_of(board.rows, [*place, *scores], board.name), table_of(board.rows, [*place, run])]
