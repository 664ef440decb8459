"""What a score is to be held against: the same metrics of one constant answer, or of all right ones, to the same
examples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from glue_harness.core.task import Example, Prediction, Row, Task
from glue_harness.metrics import measure


def yardsticks(task: Task, predictions: Sequence[Prediction], right: Sequence[Row] | None) -> dict[str, Any]:
    """What a `Score` states beside its values. `right` are the rows with their right labels, if these are known."""
    return {
        "baseline": baseline(task, predictions),
        "ceiling": {} if right is None else ceiling(task, predictions, right),
        "constant": constant_answer(predictions),
    }


def baseline(task: Task, predictions: Sequence[Prediction]) -> dict[str, float | None]:
    """The metrics of the most frequent right answer, or of the mean of numbers; {} where no answer is shared by rows.

    None where a metric of a constant is undefined, as a correlation is.
    """
    golds = [prediction.example.label for prediction in predictions]
    if not predictions or task.kind == "generate":
        return {}
    answer = fmean(golds) if task.kind == "regress" else Counter(golds).most_common(1)[0][0]
    return _scored(task, [replace(prediction, label=answer) for prediction in predictions])


def ceiling(task: Task, predictions: Sequence[Prediction], right: Sequence[Row]) -> dict[str, float | None]:
    """The metrics of a model that knows every right answer, held against the labels as they are, some of them wrong.

    `right` are the rows that the examples were made of, with their right labels.
    """
    known = {example.id: _answer(task, example) for n, row in enumerate(right) for example in task.examples(row, n)}
    if not known.keys() >= {prediction.example.id for prediction in predictions}:  # `encode` drops rows by their label
        return {}
    return _scored(task, [replace(prediction, label=known[prediction.example.id]) for prediction in predictions])


def _answer(task: Task, example: Example) -> Any:
    """The right answer in the metrics' terms. The target of a row that has a label may name what is wrong (WSC)."""
    has_label = "label" in (*task.needs, *task.columns)
    return example.label if has_label else task.decode(example.target, example)


def _scored(task: Task, predictions: Sequence[Prediction]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in measure(task.metrics, predictions).items()}


def constant_answer(predictions: Sequence[Prediction]) -> str | None:
    """The one answer that every example got, though not all have the same right one."""
    given = {prediction.text for prediction in predictions}
    right = {str(prediction.example.label) for prediction in predictions}
    return given.pop() if len(given) == 1 and len(right) > 1 else None


def no_better(metrics: Mapping[str, float | None], constant: Mapping[str, float | None]) -> list[str]:
    """The metrics whose value is defined and not above that of a constant answer."""
    return [
        key
        for key, value in metrics.items()
        if value is not None and (least := constant.get(key)) is not None and value <= least
    ]
