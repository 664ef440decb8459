"""What a bootstrap resamples: examples, or the groups that some tasks score together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import numpy as np

from glue_harness.core.errors import DataError
from glue_harness.core.task import Prediction, Tally

DrawnScores = dict[str, np.ndarray]  # metric key -> [draws]


def unit_of(prediction: Prediction) -> Hashable:
    example = prediction.example
    return example.id if example.group is None else example.group


def by_unit(predictions: Sequence[Prediction]) -> dict[Hashable, list[Prediction]]:
    """The predictions of each unit, units in the order of their first prediction."""
    if not predictions:
        raise DataError("no predictions to score")
    found: dict[Hashable, list[Prediction]] = {}
    for prediction in predictions:
        found.setdefault(unit_of(prediction), []).append(prediction)
    return found


def tally_of_sums(
    predictions: Sequence[Prediction],
    count: Callable[[Prediction], Iterable[float]],
    formula: Callable[..., DrawnScores],
) -> Tally:
    """A score that is a `formula` of totals, each [draws], of the numbers that `count` gives for a prediction."""
    groups = by_unit(predictions)
    sums = np.array([np.sum([[*count(p)] for p in group], axis=0, dtype=float) for group in groups.values()])
    return Tally([*groups], lambda weights: formula(*(weights @ sums).T))


def tally_of_means(units: Sequence[Hashable], shares: Mapping[str, Sequence[float]]) -> Tally:
    """Scores that are the plain mean over units of a share between 0 and 1."""
    columns = {key: np.array(values, dtype=float) for key, values in shares.items()}

    def score(weights: np.ndarray) -> DrawnScores:
        return {key: percent(weights @ column, weights.sum(axis=1)) for key, column in columns.items()}

    return Tally(units, score)


def percent(part: np.ndarray, whole: np.ndarray, undefined: float = np.nan) -> np.ndarray:
    """100 part / whole, and `undefined` where the whole is 0."""
    return 100 * np.divide(part, whole, out=np.full(np.shape(part), undefined, dtype=float), where=whole != 0)
