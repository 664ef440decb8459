"""`glue show`: what a task is, and what its rows become as text-to-text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from glue_harness.cli.options import json_option, open_registry, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.cli.tasks import summary
from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.task import Row, SpanNoise, Task
from glue_harness.report.console import printable

if TYPE_CHECKING:
    from rich.table import Table

    from glue_harness.data import Rows

SHOWN = 3


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
    task_folders: Names,
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
    task = open_registry(task_folders, [name]).task(name)
    if file is None:
        shown = show_task(task, data, split, SHOWN if n is None else n, as_json)
    elif data is not None or split:
        raise UsageError("--rows brings its own rows: leave out --data and --split")
    else:
        shown = show_lines(task, file, n if as_json or n is not None else SHOWN, as_json)
    failed = Counter(isinstance(fact["texts"], dict) for fact in shown)
    if failed[True]:
        raise DataError(f"{failed[True]} of {failed.total()} rows could not become examples of {task.name!r}")


def converted(task: Task, read: Callable[[], Row]) -> dict[str, Any]:
    """A raw row and the texts that it becomes, or why it becomes nothing, as JSON has them."""
    from glue_harness.data.rows import encode
    from glue_harness.suite.spans import of_words

    fact: dict[str, Any] = {"row": {}}
    try:
        fact["row"] = read()
        pairs = [(text.inputs, text.target) for text in encode(task, fact["row"])]
        if isinstance(task.noise, SpanNoise):
            pairs = [of_words(task.noise, text) for text, _ in pairs]
        fact["texts"] = [{"inputs": inputs, "targets": target} for inputs, target in pairs]
    except DataError as error:
        fact["texts"] = {"error": str(error)}
    return fact


def show_lines(task: Task, lines: BinaryIO, n: int | None, as_json: bool) -> Iterator[dict[str, Any]]:
    """Shows the rows of a file of JSON lines one at a time, so that a pipe can be read while it is written."""
    from glue_harness.core.reading import lines_of
    from glue_harness.data.lines import json_object

    rows = (partial(json_object, line, f"line {k}") for k, line in lines_of(lines, "rows") if line.strip())
    for number, read in enumerate(islice(rows, n), 1):
        fact = converted(task, read)
        emit(as_json, fact["texts"], drawn_row(number, fact))
        yield fact


def show_task(task: Task, data: str | None, role: str | None, n: int, as_json: bool) -> Iterable[dict[str, Any]]:
    """The task's facts, then the first rows of a split. The demo is the default: it needs no network."""
    from glue_harness.data import load

    rows = None
    if data is not None or role or task.demo:
        rows = load(task, role or next(iter(task.splits)), "demo" if data is None else data)
    source = task.source
    facts = {
        **summary(task),
        "fields": list(task.columns),
        "labels": list(task.labels),
        "splits": dict(task.splits),
        "hub": {"id": source.hub, "config": source.config, "revision": source.revision},
        "files": {split: [(Path(source.folder) / n).as_posix() for n in f.names] for split, f in source.files.items()},
        "task_file": task.file and str(task.file),
        "demo_noise": task.demo_noise,
        "data": rows and rows.to_record(),
        "sample": [converted(task, partial(dict, row)) for row in islice(rows or (), n)],
    }
    emit(as_json, facts, drawn_task(task, facts, rows, synthetic=data is None), indent=2)
    return facts["sample"]


def drawn_task(task: Task, facts: Mapping[str, Any], rows: Rows | None, *, synthetic: bool) -> Shown:
    splits = []
    for role, split in task.splits.items():
        name, count = role if role == split else f"{role} ({split})", facts["rows"][role]
        splits.append(f"{name} {count:,}" if count else name)
    hub, config, revision = facts["hub"].values()
    at = f"at {revision[:7]}" if revision else "at its newest revision"
    files = (" or ".join(facts["files"][split]) for split in task.splits.values() if split in facts["files"])
    texts = {
        "suite": f"{task.suite}, {task.part}",
        "kind": task.kind,
        "head": f"{task.view.head}, of an encoder" if task.view else "none: an encoder cannot learn it",
        "fields": ", ".join(task.columns),
        "labels": ", ".join(f"{number} = {label}" for number, label in enumerate(task.labels)),
        "metrics": ", ".join(task.keys) or "none",
        "scored as": ", ".join(task.scored_by),
        "also called": ", ".join(task.aliases),
        "rows": ", ".join(splits),
        "Hub": hub and " ".join(filter(None, (hub, config, at))),
        "files": ", ".join(files),
        "task file": facts["task_file"],
        "demo": f"{task.demo_noise:.0%} of its labels are made wrong, in all splits" if task.demo_noise else "",
    }
    yield f"{task.name} ({task.title})" if task.title else task.name, "bold"
    yield grid({name: text for name, text in texts.items() if text})
    yield ""
    where = "--data hub or --data DIR" if task.source.hub else "--data DIR"
    if rows is None:
        yield f"no rows to show: this task has no demo, name {where}", "dim"
        return
    remark = f" (synthetic; real rows: {where})" if synthetic else ""
    if isinstance(task.noise, SpanNoise):
        remark += "; spans are hidden anew each time: this is one of them, with words for tokens"
    origin = f"{len(facts['sample'])} of {len(rows):,} {rows.split} rows of {rows.origin}{remark}"
    yield "; ".join((origin, *rows.notes)), "dim"
    for number, fact in enumerate(facts["sample"], 1):
        yield from drawn_row(number, fact)


def drawn_row(number: int, fact: Mapping[str, Any]) -> Shown:
    yield ""
    yield f"row {number}", "bold"
    yield grid({name: value if isinstance(value, str) else json.dumps(value) for name, value in fact["row"].items()})
    if isinstance(fact["texts"], dict):
        yield f"  error: {fact['texts']['error']}", "red"
        return
    if not fact["texts"]:
        yield "  dropped: T5 makes no example of it", "dim"
    for text in fact["texts"]:
        yield grid({"inputs": text["inputs"], "target": text["targets"]}, "green")


def grid(pairs: Mapping[str, str], style: str = "") -> Table:
    """Names and values in two columns; a long value stays in its own."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 1))
    made.add_column(width=13, justify="right", style="dim")
    made.add_column(overflow="fold")
    for key, value in pairs.items():
        made.add_row(Text(printable(key)), Text(printable(value), style=style))
    return made
