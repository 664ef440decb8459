"""`glue cost`: bytes, parameters and time of runs' models, measured in turns on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import UsageError
from glue_harness.report.console import TableColumn, in_bytes, table_of

if TYPE_CHECKING:
    from glue_harness.core.cost import Cost
    from glue_harness.core.record import Record
    from glue_harness.core.task import Task
    from glue_harness.runs.store import Store
    from glue_harness.suite.registry import Registry

EXAMPLES, ROUNDS = 512, 5


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN...]")
@click.option("-t", "--task", "name", metavar="NAME", help="Whose rows.  [default: the first that all have scored]")
@click.option(
    "--examples", type=click.IntRange(min=1), default=EXAMPLES, show_default=True, help="Validation rows to answer."
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=ROUNDS, show_default=True, help="In which all runs take turns."
)
@results_option
@task_folders_option
@json_option
def command(
    runs: Names, name: str | None, examples: int, rounds: int, results: Path, task_folders: Names, as_json: bool
) -> None:
    """Measure what runs' models cost: bytes, parameters, time. All take turns in one process.

    \b
    bytes      of the weights on disk, with those of a base that they need
    not zero   parameters that are not; zeros of a pruned model take room
    ms         of one example that is answered alone
    examples/s in batches as glue run and glue predict answer

    Each run's folder gets a cost.json, which boards, comparisons and the page
    read. Threads are those of OMP_NUM_THREADS.

    \b
    glue cost RUN COMPRESSED PRUNED
    glue cost RUN COMPRESSED --examples 100 --json
    glue board --cost
    """
    from glue_harness.runs.store import Store, refuse_scored

    registry, store = open_registry(task_folders, [name] if name else []), Store(results)
    records = list({record.id: record for record in map(store.find, runs)}.values())
    if len(records) > len(ascii_uppercase):
        raise UsageError(f"cost takes {len(ascii_uppercase)} runs at most, not {len(records)}: all are held in memory")
    for record in records:
        refuse_scored(record, "there is no model whose cost could be measured")
    found = measured(records, shared_task(records, registry, name), store, registry, examples, rounds)
    emit(as_json, [dataclasses.asdict(cost) for cost in found], drawn(found, rounds), indent=1)


def shared_task(records: Sequence[Record], registry: Registry, name: str | None) -> Task:
    """The one that was named, or the first that all have scored."""
    if name:
        return registry.task(name)
    for task in records[0].scores:
        if all(task in record.scores for record in records):
            return registry.task(task)
    scored = "; ".join(f"{record.id}: {', '.join(record.scores) or 'none'}" for record in records)
    raise UsageError(f"no task was scored in all of these runs, so none can be asked of all ({scored})")


def measured(
    records: Sequence[Record], task: Task, store: Store, registry: Registry, examples: int, rounds: int
) -> list[Cost]:
    from glue_harness.bench.cost import costs  # brings torch with it: names were checked before
    from glue_harness.runs.costs import save

    found = costs(records, task, store, registry, examples, rounds)
    for cost in found:
        save(cost, store)
    return found


def drawn(found: Sequence[Cost], rounds: int) -> Shown:
    """The runs by letters: their ids are wide."""
    lettered = list(zip(ascii_uppercase, found, strict=False))
    first = found[0]

    def column(heading: str, name: str, write: Callable[[Any], str]) -> TableColumn:
        """A value of each run, and what part or multiple of the first one's it is."""

        def cell(row: tuple[str, Cost]) -> str:
            value, base = getattr(row[1], name), getattr(first, name)
            return write(value) + (f" {value / base:.2f}x" if len(found) > 1 and base else "")

        return TableColumn(heading, cell, right=True, whole=True)

    columns = [
        TableColumn("", lambda row: row[0], whole=True),
        column("bytes", "bytes", in_bytes),
        TableColumn("parameters", lambda row: f"{row[1].parameters:,}", right=True),
        TableColumn("not zero", lambda row: f"{row[1].nonzero:,}", right=True),
        column("ms", "milliseconds", "{:,.2f}".format),
        column("examples/s", "examples_per_second", "{:,.0f}".format),
    ]
    yield from (f"{letter}  {cost.run}" for letter, cost in lettered)
    yield table_of(lettered, columns)
    how = f"medians of {rounds} round{'' if rounds == 1 else 's'}"
    turns = " in which all took turns" if len(found) > 1 else ""
    yield f"{how}{turns}; {first.examples:,} validation rows of {first.task}, {first.singles:,} of them alone", "dim"
    yield first.place, "dim"
