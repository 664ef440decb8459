"""`glue report`: results as one HTML page."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from glue_harness.cli.options import open_registry, results_option, task_folders_option
from glue_harness.cli.streams import Names
from glue_harness.core.errors import UsageError
from glue_harness.core.writing import write_atomic
from glue_harness.report.console import note

USUAL_EXAMPLES = 1000
ALL = "all"


def number_of_examples(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """`--examples N|all`; None stands for all."""
    if value == ALL:
        return None
    if not value.isascii() or not value.isdigit():
        raise UsageError(f"--examples {value!r}: write a number, 0 for none, or {ALL}")
    return int(value)


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN|PLAN|SUITE ...]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="File to write.",
)
@click.option("--open", "is_opened", is_flag=True, help="Show it in the browser.")
@click.option(
    "--examples",
    default=str(USUAL_EXAMPLES),
    show_default=True,
    metavar="N|all",
    callback=number_of_examples,
    help="Of each task, those that runs answered differently first.",
)
@click.option("--data", "where", metavar="WHERE", help="Where the rows are now.  [default: where the runs had them]")
@results_option
@task_folders_option
def command(
    names: Names,
    out: Path,
    is_opened: bool,
    examples: int | None,
    where: str | None,
    results: Path,
    task_folders: Names,
) -> None:
    """Write results as one HTML page: boards, runs, differences with their examples, scores against cost.

    The page needs no network and no server: open it from disk, send it, put it on any static host. Without names it
    holds every run; the newest plans come with their answers. Plans and runs that are named come with theirs.

    \b
    RUN is an id or a part of it, its folder, or: latest; PLAN is a digest

    \b
    glue report --open
    glue report superglue --out superglue.html
    glue report RUN RUN --examples all           all examples of two runs
    """
    from glue_harness.report.page import render
    from glue_harness.report.page.chosen import choose
    from glue_harness.runs.store import Store, without_collector

    registry, store = open_registry(task_folders), Store(results)
    with without_collector():
        found = choose(names, store, registry)
        for path, reason in found.broken:
            note(f"skipped {path}: {reason}", style="yellow")
        facts, packed = found.facts(examples, where)
        for remark in facts["notes"]:
            note(remark)
        page = render(facts, packed)
    write_atomic(out, page)
    note(f"wrote {out} ({len(page) / 1e6:.1f} MB)")
    if is_opened and not webbrowser.open(out.absolute().as_uri()):
        note("no browser was found to show it in", style="yellow")
