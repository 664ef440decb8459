"""`glue tasks`: what can be run, and whether its data is here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from glue_harness.cli.options import data_option, json_option, open_registry, task_folders_option
from glue_harness.core.task import Task

COLUMNS = ("task", "suite", "kind", "train", "validation", "metrics", "data here")
DISPENSABLE = ("suite", "kind")  # on a narrow screen; the order still tells the suite


@click.command()
@click.option("--suite", help="Only the tasks of this suite.")
@data_option()
@task_folders_option
@json_option
def command(suite: str | None, data: str, task_folders: tuple[str, ...], as_json: bool) -> None:
    """List the tasks: rows of the official splits, metrics, and whether the data is here.

    Dimmed tasks belong to no average: they are trained or scored on request. A narrow screen leaves out suite and kind.

    \b
    glue tasks
    glue tasks --suite superglue --data DIR
    glue tasks --json
    """
    from glue_harness.data import available

    tasks = in_table_order(open_registry(task_folders).tasks.values(), suite)
    facts = [{**summary(task), "data": available(task, data)} for task in tasks]
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        show_table(facts)


def in_table_order(tasks: Iterable[Task], suite: str | None) -> list[Task]:
    """Suite by suite in the order of the official table; what has no suite comes last."""
    from glue_harness.core.errors import unknown

    tasks = list(tasks)
    suites = {task.suite for task in tasks}
    if suite and suite not in suites:
        raise unknown("suite", suite, suites)
    chosen = [task for task in tasks if suite in (None, task.suite)]
    return sorted(chosen, key=lambda task: (task.suite == "custom", task.suite, task.part == "extra", task.place))


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


def show_table(facts: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from glue_harness.report.console import is_narrow, printable, show, table
    from glue_harness.report.experiments import SHORT

    columns = [column for column in COLUMNS if not (is_narrow() and column in DISPENSABLE)]
    rows = []
    for fact in facts:
        counts = (row_count(fact["rows"], role) for role in ("train", "validation"))
        scored = ", ".join(SHORT.get(key, key) for key in fact["metrics"]) or "none"
        texts = (fact["task"], fact["suite"], fact["kind"], *counts, scored, fact["data"])
        cells = dict(zip(COLUMNS, texts, strict=True))
        style = "dim" if fact["part"] == "extra" else ""
        rows.append([Text(printable(cells[column]), style=style) for column in columns])
    numbers = ("train", "validation")
    show(table(columns, rows, right=numbers, whole=("task", *numbers)))


def row_count(rows: dict[str, int | None], role: str) -> str:
    if role not in rows:
        return "-"
    return "?" if rows[role] is None else f"{rows[role]:,}"
