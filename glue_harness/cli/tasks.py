"""`glue tasks`: what can be run, and whether its data is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from glue_harness.cli.options import data_option, json_option, open_registry, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.names import SAFE_NAMES, is_safe_name
from glue_harness.core.task import Task
from glue_harness.report.console import TableColumn, say, table_of


@click.group(invoke_without_command=True)
@click.option("--suite", help="Only the tasks of this suite.")
@data_option()
@task_folders_option
@json_option
@click.pass_context
def command(context: click.Context, suite: str | None, data: str, task_folders: Names, as_json: bool) -> None:
    """List the tasks: rows of the official splits, metrics, and whether the data is here.

    Dimmed tasks belong to no average: they are trained or scored on request. Head is what an encoder answers a task
    with; it cannot learn those without. A narrow screen leaves out suite, kind and head.

    \b
    glue tasks
    glue tasks --suite superglue --data DIR
    glue tasks --json
    glue tasks new reviews --from reviews/train.csv
    """
    if context.invoked_subcommand:
        return
    from glue_harness.data import available

    registry = open_registry(task_folders)
    tasks = registry.tasks.values()
    chosen = [task for task in tasks if suite in (None, task.suite)]
    if suite and not chosen:  # glue-all: what is trained or scored under that name
        chosen = [registry.tasks[name] for name in registry.suites.get(suite, ())]
        if not chosen:
            raise unknown("suite", suite, registry.suites)
    # suite by suite in the order of the official table; what has no suite comes last
    chosen.sort(key=lambda task: (task.suite == "custom", task.suite, task.part == "extra", task.place))
    facts = [{**summary(task), "data": available(task, data)} for task in chosen]
    emit(as_json, facts, drawn(facts), indent=2)


@command.command()
@click.argument("name")
@click.option(
    "--from",
    "table",
    type=click.Path(path_type=Path),
    required=True,
    help="Training rows: CSV, TSV, JSON lines, parquet.",
)
@click.option("--label", metavar="COLUMN", help="Its column with the answers.  [default: found by its name and values]")
@click.option("--validation", type=click.Path(path_type=Path), help="Rows to score.  [default: dev.csv, ... beside it]")
@click.option("--test", type=click.Path(path_type=Path), help="Further rows, with labels or without.")
def new(name: str, table: Path, label: str | None, validation: Path | None, test: Path | None) -> None:
    """Write a task file for a table of your own: its columns and labels are looked at.

    The file is put beside the table, is never overwritten, and is yours to change.

    \b
    glue tasks new reviews --from reviews/train.csv
    glue tasks new reviews --from train.csv --label stars --validation dev.csv
    """
    from shlex import quote
    from tempfile import TemporaryDirectory

    from glue_harness.core.writing import write_atomic
    from glue_harness.data.declare import declare
    from glue_harness.suite.registry import load_tasks

    if not is_safe_name(name):
        raise UsageError(f"task name {name!r} cannot be a file name: {SAFE_NAMES}")
    folder = table.parent
    given = {role: path for role, path in {"validation": validation, "test": test}.items() if path}
    for role, path in given.items():
        if path.parent.resolve() != folder.resolve() or not path.is_file():
            raise UsageError(f"--{role} {str(path)!r}: it must be a file beside {str(table)!r}")
    file = folder / f"{name}.py"
    if file.exists():
        raise UsageError(f"{str(file)!r} is there already: choose another name, or remove it")
    if name in {*(known := load_tasks()).tasks, *known.aliases, *known.suites}:
        raise UsageError(f"{name!r} is a task or a suite already: choose another name")
    declared = declare(name, table, label, given)
    with TemporaryDirectory() as draft:  # what could not be loaded is not written
        Path(draft, "new.py").write_text(declared.text, encoding="utf-8")
        if broken := load_tasks([draft]).broken:
            raise UsageError(f"--from {str(table)!r}: {'; '.join(broken.values())}")
    write_atomic(file, declared.text)
    labels = ", ".join(f"{word} {share:.0%}" for word, share in declared.shares.items()) or "numbers"
    say(f"wrote {file}: {declared.kind}, {declared.label} ({labels}) of {', '.join(declared.fields)}")
    files = ", ".join(f"{role} {path}" for role, path in declared.splits.items())
    say(f"rows: {declared.rows:,} to train on; files: {files}")
    if declared.unread:
        say(f"not read: {', '.join(map(repr, declared.unread))}")
    if "validation" not in declared.splits:
        say(f"nothing to score yet: put validation{table.suffix} beside it", "yellow")
    where = f"--tasks {quote(str(folder))} --data {quote(str(folder))}"
    say(f"next: glue show {name} {where} and glue run --task {name} {where}")


def summary(task: Task) -> dict[str, Any]:
    """What is worth saying of every task, in words of JSON."""
    return {
        "task": task.name,
        "title": task.title,
        "suite": task.suite,
        "part": task.part,
        "kind": task.kind,
        "head": task.view.head if task.view else None,
        "rows": {role: task.source.rows.get(split) for role, split in task.splits.items()},
        "metrics": list(task.keys),
        "scored_by": list(task.scored_by),
        "aliases": list(task.aliases),
    }


def drawn(facts: list[dict[str, Any]]) -> Shown:
    from glue_harness.report.experiments import SHORT

    def count(fact: dict[str, Any], role: str) -> str:
        return "-" if role not in fact["rows"] else "?" if fact["rows"][role] is None else f"{fact['rows'][role]:,}"

    columns = [
        TableColumn("task", whole=True),
        TableColumn("suite", wide=True),  # on a narrow screen the order still tells it
        TableColumn("kind", wide=True),
        TableColumn("head", lambda fact: fact["head"] or "-", wide=True),
        TableColumn("train", lambda fact: count(fact, "train"), right=True, whole=True),
        TableColumn("validation", lambda fact: count(fact, "validation"), right=True, whole=True),
        TableColumn("metrics", lambda fact: ", ".join(SHORT.get(key, key) for key in fact["metrics"]) or "none"),
        TableColumn("data here", lambda fact: fact["data"]),
    ]
    yield table_of(facts, columns, style=lambda fact: "dim" if fact["part"] == "extra" else "")
