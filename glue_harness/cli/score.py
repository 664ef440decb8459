"""`glue score`: answers of any system to T5's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import click

from glue_harness.cli.options import json_option, open_registry, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit, read_file
from glue_harness.core.task import Prediction, Task
from glue_harness.report.console import table

MOST_COMMON = 5  # invalid answers shown
LONGEST = 60  # characters of each


@click.command()
@click.argument("task_name", metavar="TASK")
@click.argument("file", metavar="FILE")
@task_folders_option
@json_option
def command(task_name: str, file: str, task_folders: Names, as_json: bool) -> None:
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
    from glue_harness.metrics.answers import invalid_answers, read_answers

    task = open_registry(task_folders).task(task_name)
    predictions = read_file(file, partial(read_answers, task))
    values, invalid = measure(task.metrics, predictions), invalid_answers(predictions)
    facts = {"metrics": values, "n": len(predictions), "invalid": invalid.total()}
    emit(as_json, facts, drawn(task, values, predictions, invalid))


def drawn(task: Task, values: Mapping[str, float], predictions: Sequence[Prediction], invalid: Counter[str]) -> Shown:
    from glue_harness.metrics.intervals import interval

    def number(value: float) -> str:
        return "undefined" if value != value else f"{value:.2f}"

    ranges = {key: pair for metric in task.metrics for key, pair in interval(metric.tally(predictions)).items()}
    rows = [(key, number(value), " to ".join(map(number, ranges[key]))) for key, value in values.items()]
    if rows:
        yield table(("metric", "x100", "95 % interval"), rows, title=task.title or task.name, right=("x100",))
    else:
        yield f"{task.name} has no metric: its labels are not public"
    share = 100 * invalid.total() / len(predictions)
    yield f"{len(predictions):,} answers, {invalid.total():,} invalid ({share:.1f} %)"
    for text, count in invalid.most_common(MOST_COMMON):
        yield f"  {count:,} x {text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'!r}"
