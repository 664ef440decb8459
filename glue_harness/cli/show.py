"""`glue show`: what a task is, and what its rows become as text-to-text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

from glue_harness.cli.options import json_option, open_registry, task_folders_option
from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.task import Row, Task, Text

if TYPE_CHECKING:
    from glue_harness.data import Rows

SHOWN = 3


class Encoded(NamedTuple):
    """A raw row and what it becomes, or why it becomes nothing."""

    row: Row
    texts: Sequence[Text] = ()
    error: str | None = None

    def to_json(self) -> Any:
        if self.error is not None:
            return {"error": self.error}
        return [{"inputs": text.inputs, "targets": text.target} for text in self.texts]


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--data", metavar="WHERE", help="hub, demo, demo:ROWS or a folder.  [default: demo, if the task has one]")
@click.option("--split", metavar="ROLE", help="train, validation or test.  [default: the first that the task has]")
@click.option("--n", type=click.IntRange(min=0), help=f"How many rows.  [default: {SHOWN}, with --rows --json all]")
@click.option("--rows", "file", type=click.File("rb"), help="JSON lines in the Hub's schema instead; - is stdin.")
@task_folders_option
@json_option
def command(
    name: str,
    data: str | None,
    split: str | None,
    n: int | None,
    file: BinaryIO | None,
    task_folders: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show a task: fields, labels, metrics, and rows before and after they become text-to-text.

    With --rows FILE --json each row gives one line: a list of {"inputs", "targets"}, empty for a row that T5
    drops, or {"error": reason}. The exit code is 1 if there was an error.

    \b
    glue show mnli
    glue show mrpc --data DIR --split validation --n 5
    glue show mnli --rows rows.jsonl --json
    """

    task = open_registry(task_folders).task(name)
    if file is None:
        show_task(task, data, split, SHOWN if n is None else n, as_json)
    elif data is not None or split:
        raise UsageError("--rows brings its own rows: leave out --data and --split")
    else:
        shown = n if as_json or n is not None else SHOWN
        report(task, islice(encoded_lines(task, file), shown), as_json)


def encoded_lines(task: Task, lines: BinaryIO) -> Iterator[Encoded]:
    """The rows of a file of JSON lines, one at a time, so that a pipe can be read while it is written."""
    from glue_harness.core.reading import lines_of
    from glue_harness.data.lines import json_object

    for number, line in lines_of(lines, "rows"):
        if line.strip():
            try:
                row = json_object(line, f"line {number}")
            except DataError as error:
                yield Encoded({}, error=str(error))
            else:
                yield encoded(task, row)


def encoded(task: Task, row: Row) -> Encoded:
    from glue_harness.data.rows import encode

    try:
        return Encoded(row, encode(task, row))
    except DataError as error:
        return Encoded(row, error=str(error))


def report(task: Task, results: Iterable[Encoded], as_json: bool) -> None:
    """Each row as it comes; a failure at the end if any row failed."""
    failed = number = 0
    for number, result in enumerate(results, 1):
        failed += result.error is not None
        if as_json:
            click.echo(json.dumps(result.to_json()))
        else:
            show_row(number, result)
    refuse_failures(task, failed, number)


def refuse_failures(task: Task, failed: int, total: int) -> None:
    if failed:
        raise DataError(f"{failed} of {total} rows could not become examples of {task.name!r}")


def show_task(task: Task, data: str | None, role: str | None, n: int, as_json: bool) -> None:
    """The task's facts, then the first rows of a split. The demo is the default: it needs no network."""
    from glue_harness.data import load

    where = "demo" if data is None else data
    asked = data is not None or role
    rows = load(task, role or next(iter(task.splits)), where) if asked or task.demo else None
    sample = [encoded(task, row) for row in islice(rows or (), n)]
    if as_json:
        pairs = [{"row": result.row, "texts": result.to_json()} for result in sample]
        click.echo(json.dumps({**facts_of(task), "data": rows and rows.to_record(), "sample": pairs}, indent=2))
    else:
        show_facts(task)
        show_sample(rows, sample, synthetic=data is None)
    refuse_failures(task, sum(result.error is not None for result in sample), len(sample))


def show_sample(rows: Rows | None, sample: Sequence[Encoded], *, synthetic: bool) -> None:
    from glue_harness.report.console import say

    say()
    if rows is None:
        say("no rows to show: this task has no demo, name --data hub or --data DIR", style="dim")
        return
    remark = " (synthetic; real rows: --data hub or --data DIR)" if synthetic else ""
    source = f"{len(sample)} of {len(rows):,} {rows.split} rows of {rows.origin}{remark}"
    say("; ".join((source, *rows.notes)), style="dim")
    for number, result in enumerate(sample, 1):
        show_row(number, result)


def facts_of(task: Task) -> dict[str, Any]:
    from glue_harness.cli.tasks import summary

    source = task.source
    folder = Path(source.folder)
    return {
        **summary(task),
        "fields": list(task.columns),
        "labels": list(task.labels),
        "splits": dict(task.splits),
        "hub": {"id": source.hub, "config": source.config, "revision": source.revision},
        "files": {split: [(folder / name).as_posix() for name in file.names] for split, file in source.files.items()},
        "task_file": task.file and str(task.file),
    }


def show_facts(task: Task) -> None:
    from glue_harness.report.console import say

    say(" ".join((task.name, *([f"({task.title})"] if task.title else []))), style="bold")
    show_pairs({key: value for key, value in fact_texts(task).items() if value})


def fact_texts(task: Task) -> dict[str, str]:
    source, facts = task.source, facts_of(task)
    files = (" or ".join(facts["files"][split]) for split in task.splits.values() if split in facts["files"])
    revision = f"at {source.revision[:7]}" if source.revision else "at its newest revision"
    return {
        "suite": f"{task.suite}, {task.part}",
        "kind": task.kind,
        "fields": ", ".join(task.columns),
        "labels": ", ".join(f"{number} = {label}" for number, label in enumerate(task.labels)),
        "metrics": ", ".join(task.keys) or "none",
        "scored as": ", ".join(task.scored_by),
        "also called": ", ".join(task.aliases),
        "rows": ", ".join(split_text(role, split, source.rows.get(split)) for role, split in task.splits.items()),
        "Hub": source.hub and " ".join(filter(None, (source.hub, source.config, revision))),
        "files": ", ".join(files),
        "task file": facts["task_file"] or "",
    }


def split_text(role: str, split: str, rows: int | None) -> str:
    name = role if role == split else f"{role} ({split})"
    return f"{name} {rows:,}" if rows else name


def show_row(number: int, result: Encoded) -> None:
    from glue_harness.report.console import say

    say()
    say(f"row {number}", style="bold")
    show_pairs({column: value if isinstance(value, str) else json.dumps(value) for column, value in result.row.items()})
    if result.error is not None:
        say(f"  error: {result.error}", style="red")
    elif not result.texts:
        say("  dropped: T5 makes no example of it", style="dim")
    for text in result.texts:
        show_pairs({"inputs": text.inputs, "target": text.target}, style="green")


def show_pairs(pairs: dict[str, str], style: str = "") -> None:
    """Names and values in two columns; a long value stays in its own."""
    from rich.table import Table
    from rich.text import Text as Cell

    from glue_harness.report.console import printable, show

    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=13, justify="right", style="dim")
    grid.add_column(overflow="fold")
    for key, value in pairs.items():
        grid.add_row(Cell(printable(key)), Cell(printable(value), style=style))
    show(grid)
