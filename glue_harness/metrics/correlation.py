"""Correlation of numbers; an answer that is no number counts as -1.0, as in T5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glue_harness.core.task import Prediction, Tally
from glue_harness.metrics.units import DrawnScores, by_unit, clusters_of, unit_of

INVALID = -1.0


def spearman_tally(predictions: Sequence[Prediction]) -> Tally:
    return pearson_tally(predictions, "spearman_corrcoef", of_ranks=True)


def pearson_tally(predictions: Sequence[Prediction], key: str = "pearson_corrcoef", of_ranks: bool = False) -> Tally:
    targets = np.array([p.example.label for p in predictions], dtype=float)
    answers = np.array([INVALID if p.label is None else p.label for p in predictions], dtype=float)
    groups = by_unit(predictions)
    place = {unit: k for k, unit in enumerate(groups)}
    places = [place[unit_of(p)] for p in predictions]

    def score(weights: np.ndarray) -> DrawnScores:
        weights = weights[:, places]
        pair = [weighted_ranks(values, weights) if of_ranks else values for values in (targets, answers)]
        pair = [standardised(values, weights) for values in pair]
        return {key: 100 * np.clip(np.einsum("du,du,du->d", weights, *pair), -1, 1)}

    return Tally([*groups], score, clusters_of(groups))


def spearman(xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each line of xs with that of ys, both [lines, n]; NaN if a line is constant."""
    # (smaller) + (smaller or equal) is twice a middle rank, which correlates as the rank does
    doubled = [(v[:, :, None] > v[:, None, :]).sum(2) + (v[:, :, None] >= v[:, None, :]).sum(2) for v in (xs, ys)]
    left, right = (standardised(ranks, np.ones(ranks.shape)) for ranks in doubled)
    return (left * right).sum(axis=1)


def weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rank of each value in each draw, ties at their middle: what ranking the resampled list would give."""
    distinct, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(distinct)))
    copies = np.add.reduceat(weights[:, order], starts, axis=1)  # of each distinct value
    middle = np.cumsum(copies, axis=1) - (copies - 1) / 2
    return np.where(np.isnan(values), np.nan, middle[:, place])


def rank_correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rho of each line of `a` with the same line of `b`, both [lines, values]."""

    def centred(values: np.ndarray) -> np.ndarray:  # smaller less larger values: twice a rank's distance to the middle
        return np.sign(values[:, :, None] - values[:, None, :]).sum(axis=2)

    a, b = centred(a), centred(b)
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


def standardised(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each draw's values with mean 0 and length 1; NaN if they are all the same or not all finite."""
    drawn = weights > 0
    values = np.where(drawn, values, 0)
    lowest = np.where(drawn, values, np.inf).min(axis=1, keepdims=True)
    highest = np.where(drawn, values, -np.inf).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = (weights * values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
        centred = np.where(drawn, values - mean, 0)
        # Rounding leaves a constant with a spread above 0, so sameness is asked of the values themselves.
        spread = np.where(lowest == highest, np.nan, np.abs(centred).max(axis=1, keepdims=True))
        centred /= spread  # before squaring: an answer may be 1e300
        return centred / np.sqrt((weights * centred**2).sum(axis=1, keepdims=True))
