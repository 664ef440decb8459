"""`glue power`: what seeds can find, before an hour is spent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import (
    data_option,
    json_option,
    open_registry,
    results_option,
    split_names,
    task_folders_option,
)
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import GlueError
from glue_harness.report.console import TableColumn, is_narrow, table_of

if TYPE_CHECKING:
    from glue_harness.report.spread import Findable

SHOWN_NARROW = (2, 3, 5, 10)  # numbers of seeds on a narrow screen


@click.command()
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Only these tasks; repeat or use commas.")
@data_option()
@results_option
@task_folders_option
@json_option
def command(names: Names, data: str, results: Path, task_folders: Names, as_json: bool) -> None:
    """Tell the least difference that seeds will find.

    For each value of each task: the least difference between two recipes that 2 to 10 seeds of each will find with 80 %
    (a test at 5 %), and the least between two single models, which is all that one seed can tell. The spread of seeds
    is that of your own finished plans with three seeds or more on the same data, else that of T5's Table 16.

    \b
    glue power --task rte,cola
    glue power --data demo:200
    """
    from glue_harness.data import is_demo
    from glue_harness.report.spread import findable, repeated
    from glue_harness.runs.store import Store

    registry, store = open_registry(task_folders), Store(results)
    tasks = [scorer for name in split_names(names) for scorer in registry.scorers(registry.task(name))]
    own = [experiment for experiment in repeated(store.summaries()[0]) if experiment.plan.data == data]
    found = findable([task.name for task in tasks] or list(registry.tasks), own, store, registry, is_demo(data))
    if not found:
        raise GlueError(
            f"no spread of seeds is known on {data}: run three seeds of a plan or more (glue run --seeds 3)"
        )
    emit(as_json, {"values": found}, drawn(found), indent=1)


def drawn(found: list[Findable]) -> Shown:
    def least(seeds: int) -> Any:
        return lambda one: f"{one.recipes[seeds]:.2f}"

    numbers = [k for k in found[0].recipes if not is_narrow() or k in SHOWN_NARROW]
    columns = [
        TableColumn("task", lambda one: one.label),
        TableColumn("sd", lambda one: f"{one.sd:.2f}", right=True),
        TableColumn("own sd", lambda one: f"{one.own_sd:.2f}" if one.churn is not None else "-", right=True, wide=True),
        TableColumn("one seed", lambda one: ("" if one.churn is not None else "<") + f"{one.models:.2f}", right=True),
        *(TableColumn(f"k={k}", least(k), right=True) for k in numbers),
    ]
    yield table_of(found, columns)
    yield "k seeds of each of two recipes find so large a difference with 80 % at best, by a test at 5 %"
    yield (
        "one seed: of two models, never of recipes; < where it is not known how many answers change between seeds",
        "dim",
    )
    sources = list(dict.fromkeys(one.source for one in found))
    for source in sources:
        labels = ", ".join(one.label for one in found if one.source == source)
        yield f"sd over seeds from {source}{f': {labels}' if len(sources) > 1 else ''}", "dim"
