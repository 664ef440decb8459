"""How wrong each single answer is. Which examples a score was lost on, in an order worth reading."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from glue_harness.core.task import Prediction, Task
from glue_harness.metrics.classification import is_right
from glue_harness.metrics.correlation import INVALID
from glue_harness.metrics.units import by_unit

MOST = 100.0  # of a value whose metric states no limit
AT_ONCE = 256  # units that are scored in one go: each takes a row of weights as long as all of them


class Judged(NamedTuple):
    """One answer held against the right one."""

    prediction: Prediction
    is_right: bool
    loss: float  # larger is worse: 1 - p of the right label, a distance of numbers, or what the values lack


def judge(task: Task, predictions: Sequence[Prediction]) -> list[Judged]:
    """Every answer; of answers that are scored as one, as those to one query of ReCoRD, the one that counts."""
    if task.labels:
        return [Judged(p, is_right(p), _of_label(p)) for p in predictions]
    if task.kind == "regress":
        return [Judged(p, loss == 0, loss) for p in predictions for loss in [_of_number(p)]]
    losses = _of_units(task, predictions)
    firsts = [group[0] for group in by_unit(predictions).values()]
    return [Judged(p, loss < 1e-9, loss) for p, loss in zip(firsts, losses, strict=True)]


def _of_label(prediction: Prediction) -> float:
    """1 - p of the right answer. Shares are of choices that the model got to: one that it did not reach has 0."""
    shares = prediction.scores
    return 1.0 - shares.get(prediction.example.target, 0.0) if shares else float(not is_right(prediction))


def _of_number(prediction: Prediction) -> float:
    """|answer - right|, with T5's number for what is none."""
    answer = INVALID if prediction.label is None else prediction.label
    loss = abs(float(answer) - float(prediction.example.label))
    return math.inf if math.isnan(loss) else loss


def _of_units(task: Task, predictions: Sequence[Prediction]) -> list[float]:
    """The mean over the task's values of (largest possible - the value of this unit alone)."""
    losses: dict[Hashable, list[float]] = {}
    for metric in task.metrics:
        tally = metric.tally(predictions)
        most, n = metric.limits[1] if metric.limits else MOST, len(tally.units)
        for start in range(0, n, AT_ONCE):
            units = tally.units[start : start + AT_ONCE]
            weights = np.zeros((len(units), n))
            weights[range(len(units)), range(start, start + len(units))] = 1.0
            for values in tally.score(weights).values():
                for unit, value in zip(units, values, strict=True):
                    losses.setdefault(unit, []).append(most if math.isnan(value) else most - float(value))
    return [sum(of_unit) / len(of_unit) for of_unit in losses.values()]
