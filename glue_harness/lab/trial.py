"""A task's own functions tried on a few right answers, so that what is wrong with them shows before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from glue_harness.core.task import Example, Metric, Prediction, Tally, Task
from glue_harness.core.writing import json_text

FEW = 8  # examples


def try_out(task: Task, examples: Sequence[Example]) -> None:
    """`decode` of each target, and each metric of these answers; what they raise is raised."""
    for example in examples[:FEW]:
        try:
            json_text(example.info)
        except (TypeError, ValueError) as error:  # it is kept beside the answer
            raise task.nonsense("encode", example.info, f"an info that JSON can hold ({error})") from None
    predictions = [task.prediction(example, example.target) for example in examples[:FEW]]
    for metric in task.metrics:
        _try_metric(task, metric, predictions)


def _try_metric(task: Task, metric: Metric, predictions: Sequence[Prediction]) -> None:
    if not isinstance(metric, Metric):
        raise task.nonsense("metrics", metric, "Metric(keys, tally)")
    tally = metric.tally(predictions)
    if not isinstance(tally, Tally) and not (isinstance(tally, tuple) and len(tally) == len(Tally._fields)):
        raise task.nonsense(f"the metric of {', '.join(metric.keys)}", tally, "a Tally")
    made = Tally(*tally)
    values = made.score(np.ones((1, len(made.units))))
    if not isinstance(values, Mapping) or set(values) != set(metric.keys):
        raise task.nonsense("the score of a metric", values, f"an array for each of {', '.join(metric.keys)}")
    for value in values.values():
        if np.shape(value) != (1,):
            raise task.nonsense("the score of a metric", values, "arrays with a value for each draw")
