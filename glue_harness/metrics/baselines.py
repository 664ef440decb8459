"""What a score is to be held against: the same metrics of one constant answer to the same examples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from glue_harness.core.task import Prediction, Task
from glue_harness.metrics import measure


def baseline(task: Task, predictions: Sequence[Prediction]) -> dict[str, float | None]:
    """The metrics of the most frequent right answer, or of the mean of numbers; {} where no answer is shared by rows.

    None where a metric of a constant is undefined, as a correlation is.
    """
    golds = [prediction.example.label for prediction in predictions]
    if not predictions or task.kind == "generate":
        return {}
    answer = fmean(golds) if task.kind == "regress" else Counter(golds).most_common(1)[0][0]
    constant = [replace(prediction, label=answer) for prediction in predictions]
    return {key: value if math.isfinite(value) else None for key, value in measure(task.metrics, constant).items()}


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
