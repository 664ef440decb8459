"""Scores as sums over units: examples, or the groups that some tasks score together; units lie in clusters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from glue_harness.core.errors import DataError
from glue_harness.core.task import Prediction, Tally

DrawnScores = dict[str, np.ndarray]  # metric key -> [draws]


class Share(NamedTuple):
    """A value that rests on a share q = sum of hits / sum of trials: 100 value(q), which grows with q."""

    hits: np.ndarray  # [units]
    trials: np.ndarray
    value: Callable[[float], float] = float


class Cells(NamedTuple):
    """A value that is a formula of how often each pair of right answer and given answer occurs."""

    counts: np.ndarray  # [right answers, given answers]
    value: Callable[[np.ndarray], np.ndarray]  # [draws, right answers, given answers] -> [draws], x100


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


def clusters_of(groups: Mapping[Hashable, Sequence[Prediction]]) -> list[Hashable]:
    """The cluster of each unit: the one that its first example names, else the unit by itself."""
    return [unit if (named := group[0].example.cluster) is None else named for unit, group in groups.items()]


def tally_of_sums(
    predictions: Sequence[Prediction],
    count: Callable[[Prediction], Iterable[float]],
    formula: Callable[..., DrawnScores],
    kinds: Callable[..., Mapping[str, Any]] = lambda *columns: {},
) -> Tally:
    """A score that is a `formula` of totals, each [draws], of the numbers that `count` gives for a prediction.

    `kinds` makes the values' kinds of the same numbers, each [units].
    """
    groups = by_unit(predictions)
    sums = np.array([np.sum([[*count(p)] for p in group], axis=0, dtype=float) for group in groups.values()])
    return Tally([*groups], lambda weights: formula(*(weights @ sums).T), clusters_of(groups), kinds(*sums.T))


def tally_of_means(
    groups: Mapping[Hashable, Sequence[Prediction]], shares: Mapping[str, Sequence[float]], of_rights: Collection[str]
) -> Tally:
    """Scores that are the plain mean over units of a share between 0 and 1; `of_rights` are those of 0 or 1 only."""
    columns = {key: np.array(values, dtype=float) for key, values in shares.items()}

    def score(weights: np.ndarray) -> DrawnScores:
        return {key: percent(weights @ column, weights.sum(axis=1)) for key, column in columns.items()}

    kinds = {key: Share(columns[key], np.ones(len(groups))) for key in of_rights}
    return Tally([*groups], score, clusters_of(groups), kinds)


def percent(part: np.ndarray, whole: np.ndarray, undefined: float = np.nan) -> np.ndarray:
    """100 part / whole, and `undefined` where the whole is 0."""
    return 100 * np.divide(part, whole, out=np.full(np.shape(part), undefined, dtype=float), where=whole != 0)
