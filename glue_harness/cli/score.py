"""`glue score`: answers of any system to T5's metrics."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import json_option, open_registry, task_folders_option
from glue_harness.core.errors import UsageError

if TYPE_CHECKING:
    from glue_harness.core.task import Prediction, Task

MOST_COMMON = 5  # invalid answers shown
LONGEST = 60  # characters of each


@click.command()
@click.argument("task_name", metavar="TASK")
@click.argument("file", metavar="FILE")
@task_folders_option
@json_option
def command(task_name: str, file: str, task_folders: tuple[str, ...], as_json: bool) -> None:
    """Score answers: FILE holds a line {"target": ..., "prediction": ...} for each; - reads stdin.

    \b
    Some tasks need "example" beside them, an object with
      idx      MultiRC, ReCoRD
      answers  ReCoRD, SQuAD
      label    WSC, WNLI as referent

    \b
    glue score mrpc answers.jsonl
    glue score multirc - --json < answers.jsonl
    """
    from glue_harness.metrics import measure

    task = open_registry(task_folders).task(task_name)
    predictions = read(task, file)
    values = measure(task.metrics, predictions)
    if as_json:
        print_json(values, predictions)
    else:
        print_table(task, values, predictions)


def read(task: Task, file: str) -> list[Prediction]:
    from glue_harness.metrics.answers import read_answers

    if file == "-":
        return read_answers(task, sys.stdin.buffer, "stdin")
    try:
        with open(file, "rb") as lines:
            return read_answers(task, lines, file)
    except OSError as error:
        raise UsageError(f"cannot read {file!r}: {error.strerror}") from None


def print_json(values: Mapping[str, float], predictions: Sequence[Prediction]) -> None:
    from glue_harness.core.writing import json_text
    from glue_harness.metrics.answers import invalid_answers

    invalid = invalid_answers(predictions).total()
    click.echo(json_text({"metrics": values, "n": len(predictions), "invalid": invalid}))


def print_table(task: Task, values: Mapping[str, float], predictions: Sequence[Prediction]) -> None:
    from glue_harness.metrics.answers import invalid_answers
    from glue_harness.metrics.stats import interval
    from glue_harness.report.console import say, show, table

    ranges = {key: pair for metric in task.metrics for key, pair in interval(metric.tally(predictions)).items()}
    rows = [(key, number(value), " to ".join(map(number, ranges[key]))) for key, value in values.items()]
    if rows:
        show(table(("metric", "x100", "95 % interval"), rows, title=task.title or task.name, right=("x100",)))
    else:
        say(f"{task.name} has no metric: its labels are not public")
    invalid = invalid_answers(predictions)
    share = 100 * invalid.total() / len(predictions)
    say(f"{len(predictions):,} answers, {invalid.total():,} invalid ({share:.1f} %)")
    for text, count in invalid.most_common(MOST_COMMON):
        say(f"  {count:,} x {shortened(text)!r}")


def number(value: float) -> str:
    return "undefined" if value != value else f"{value:.2f}"


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
