"""`glue board`: the leaderboard of a suite, on the terminal and as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.finding import finding, finding_options
from glue_harness.cli.options import (
    check_plot,
    leaderboards_folder,
    open_registry,
    plot_options,
    results_option,
    split_names,
    task_folders_option,
    write_plot,
)
from glue_harness.cli.streams import Names
from glue_harness.core.writing import write_atomic
from glue_harness.report.console import note, say, screen_width

if TYPE_CHECKING:
    from glue_harness.report.rows import Board

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
@click.option(
    "--task", "averaged", multiple=True, help="Show and average these tasks of the suite only: a,b or repeated."
)
@finding_options("where", "since", "tag")
@click.option("--test", "every_pair", is_flag=True, help="Read all kept answers and test every pair of ranked rows.")
@click.option("--cost", "priced", is_flag=True, help="Show bytes, parameters and times, as glue cost measured them.")
@click.option("--published", is_flag=True, help="Show the rows of T5's Table 16 below, unranked.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=leaderboards_folder,
    show_default="leaderboards, or $GLUE_LEADERBOARDS",
    help="Folder to write to.",
)
@plot_options()
@results_option
@task_folders_option
def command(
    suite: str,
    chosen: Names,
    averaged: Names,
    every_pair: bool,
    priced: bool,
    published: bool,
    out: Path,
    plot: Path | None,
    width_cm: float | None,
    results: Path,
    task_folders: Names,
    **wanted: Any,
) -> None:
    """Rank the finished runs of a suite, and write the board to files.

    A row is a plan with all its seeds. Runs on demo data have a board of their own. Only rows that were scored on the
    same data are ranked: the data that most rows share, or else the one with more examples. The others are marked
    "other data". Identical data in another folder are the same data.

    Rows share a rank unless their averages differ significantly: by a paired test over examples and seeds of the
    answers that runs keep, up to 30 rows unasked; where they are missing or too many, by the intervals.

    \b
    glue board
    glue board --task cola,rte,mrpc               these columns, and their average
    glue board --suite superglue --format html --published
    glue board --where model=*t5-small --since 7d --tag paper
    glue board --cost                             beside what each row costs
    glue board --plot board.svg --width-cm 16
    glue board --format json
    """
    from glue_harness.report import formats
    from glue_harness.report.board import make_boards, with_costs
    from glue_harness.runs.finding import none_of
    from glue_harness.runs.store import Store, without_collector

    for name in chosen:
        formats.renderer(name)
    check_plot(plot, width_cm)
    registry, store, meant = open_registry(task_folders), Store(results), finding(**wanted)
    with without_collector():
        everything, broken = store.summaries()
        records = meant.chosen(everything, store) if meant else everything
        boards = make_boards(
            records, registry, suite, published, tasks=split_names(averaged), store=store, every_pair=every_pair
        )
        if priced:
            boards = (with_costs(boards[0], store), with_costs(boards[1], store))
        for path, reason in broken:
            note(f"skipped {path}: {reason}", style="yellow")
        filled = [board for board in boards if board.rows]
        if TO_STDOUT in chosen:
            render = formats.renderer(TO_STDOUT)
            click.echo("[" + ",\n".join(render(board) for board in filled) + "]")
        else:
            show_on_terminal(boards)
        if not records and everything:
            note(none_of(everything, meant), style=None)
        elif not filled:
            remedy = f"make one with glue run --task {suite} --demo"
            note(f"no finished run of {suite} in {str(results)!r}: {remedy}", style=None)
        for board in filled:
            write_files(board, [name for name in chosen or USUAL if name != TO_STDOUT], out)
            if plot:  # of two boards, that of demo data has its name in the file's
                from glue_harness.report.plots.intervals import of_board

                path = plot if len(filled) == 1 else plot.with_stem(f"{plot.stem}-{board.name}")
                write_plot(path, of_board(board), width_cm)


def show_on_terminal(boards: Iterable[Board]) -> None:
    from glue_harness.report.screen import drawn

    for board in boards:
        for lines, style in drawn(board, screen_width()) if board.rows else ():
            say(lines, style)
        for run, reason in board.left_out:
            note(f"{board.name} leaves out {run}: {reason}")


def write_files(board: Board, names: Iterable[str], folder: Path) -> None:
    from glue_harness.report.formats import renderer

    for name in names:
        path = folder / f"{board.name}.{name}"
        write_atomic(path, renderer(name)(board))
        note(f"wrote {path}")
