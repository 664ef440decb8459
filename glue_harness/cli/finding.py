"""Options by which several verbs choose among the runs that there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import split_names
from glue_harness.cli.streams import Names
from glue_harness.report.console import note
from glue_harness.runs.finding import STATUSES

if TYPE_CHECKING:
    from glue_harness.core.record import Record
    from glue_harness.runs.finding import Filter
    from glue_harness.runs.store import Store

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
OPTIONS = {
    "task": click.option(
        "-t", "--task", "tasks", multiple=True, metavar="NAME", help="Runs that train or score a task or suite."
    ),
    "model": click.option(
        "-m", "--model", "models", multiple=True, metavar="NAME", help="Runs of a model; * stands for anything."
    ),
    "status": click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice(STATUSES),
        metavar="STATUS",
        help=f"{', '.join(STATUSES[:-1])} or {STATUSES[-1]}: its process is gone.",
    ),
    "tag": click.option("--tag", "tags", multiple=True, metavar="TAG", help="Runs with any of these tags."),
    "since": click.option("--since", metavar="WHEN", help="Begun since a day, 2026-11-20, or 90m, 12h, 7d, 2w ago."),
    "where": click.option(
        "--where", multiple=True, metavar="KEY=VALUE", help="Runs with this setting, such as model=*t5* or lr=1e-4."
    ),
}


def finding_options(*names: str) -> Decorator:
    """All of them, or those that are named."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names or tuple(OPTIONS)):
            command = OPTIONS[name](command)
        return command

    return decorate


def finding(
    tasks: Names = (),
    models: Names = (),
    statuses: Names = (),
    tags: Names = (),
    since: str | None = None,
    where: Names = (),
) -> Filter:
    """The filter that the options ask for."""
    from glue_harness.runs.finding import Filter
    from glue_harness.runs.finding import since as since_when
    from glue_harness.runs.finding import where as where_said

    return Filter(
        split_names(tasks),
        split_names(models),
        statuses,
        split_names(tags),
        None if since is None else since_when(since),
        where_said(where),
    )


def open_store(
    results: Path, chosen: Filter | None = None, names: Names = ()
) -> tuple[Store, list[Record], dict[str, list[str]]]:
    """The runs that are meant, oldest first, and for every run those that started from it."""
    from glue_harness.runs import care
    from glue_harness.runs.finding import none_of
    from glue_harness.runs.store import Store

    store = Store(results)
    everything, broken = store.summaries()
    for path, reason in broken:
        note(f"skipped {path}: {reason}", style="yellow")
    among = care.named(store, names, everything) if names else everything
    found = chosen.chosen(among, store) if chosen else among
    if not everything:
        note(f"no run in {str(results)!r}: make one with glue run, or name a folder with --results", style=None)
    elif not found and chosen:
        note(none_of(everything, chosen), style=None)
    return store, found, care.children(everything)
