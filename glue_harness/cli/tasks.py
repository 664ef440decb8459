"""`glue tasks`: what can be run, and whether its data is here."""

from __future__ import annotations

from typing import Any

import click

from glue_harness.cli.options import data_option, json_option, open_registry, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import unknown
from glue_harness.core.task import Task
from glue_harness.report.console import TableColumn, table_of


@click.command()
@click.option("--suite", help="Only the tasks of this suite.")
@data_option()
@task_folders_option
@json_option
def command(suite: str | None, data: str, task_folders: Names, as_json: bool) -> None:
    """List the tasks: rows of the official splits, metrics, and whether the data is here.

    Dimmed tasks belong to no average: they are trained or scored on request. A narrow screen leaves out suite and kind.

    \b
    glue tasks
    glue tasks --suite superglue --data DIR
    glue tasks --json
    """
    from glue_harness.data import available

    tasks = open_registry(task_folders).tasks.values()
    if suite and suite not in (suites := {task.suite for task in tasks}):
        raise unknown("suite", suite, suites)
    # suite by suite in the order of the official table; what has no suite comes last
    places = {task.name: (task.suite == "custom", task.suite, task.part == "extra", task.place) for task in tasks}
    chosen = sorted((task for task in tasks if suite in (None, task.suite)), key=lambda task: places[task.name])
    facts = [{**summary(task), "data": available(task, data)} for task in chosen]
    emit(as_json, facts, drawn(facts), indent=2)


def summary(task: Task) -> dict[str, Any]:
    """What is worth saying of every task, in words of JSON."""
    return {
        "task": task.name,
        "title": task.title,
        "suite": task.suite,
        "part": task.part,
        "kind": task.kind,
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
        TableColumn("train", lambda fact: count(fact, "train"), right=True, whole=True),
        TableColumn("validation", lambda fact: count(fact, "validation"), right=True, whole=True),
        TableColumn("metrics", lambda fact: ", ".join(SHORT.get(key, key) for key in fact["metrics"]) or "none"),
        TableColumn("data here", lambda fact: fact["data"]),
    ]
    yield table_of(facts, columns, style=lambda fact: "dim" if fact["part"] == "extra" else "")
