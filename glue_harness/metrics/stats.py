"""How sure a score and a difference of scores are: bootstrap, McNemar's test, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from glue_harness.core.errors import DataError
from glue_harness.core.task import Tally
from glue_harness.metrics.units import DrawnScores

CHUNK = 2_000_000  # weights held in memory at once
Test = TypeVar("Test", bound=Hashable)


class PairedDifference(NamedTuple):
    """How much better (+) or worse (-) the second of two systems scored, on the same units."""

    difference: float
    low: float
    high: float
    p: float  # two-sided


def interval(tally: Tally, draws: int = 1000, seed: int = 0, level: float = 0.95) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap over the tally's units; draws without a value are left out."""
    scores = resampled(tally.score, len(tally.units), draws, seed)
    return {key: percentiles(values, level) for key, values in scores.items()}


def resampled(score: Callable[[np.ndarray], DrawnScores], units: int, draws: int, seed: int) -> DrawnScores:
    """Scores of how often each unit was drawn, [draws, units], in chunks whose size does not change the numbers."""
    random = np.random.default_rng(seed)
    size = max(1, CHUNK // units)
    chunks = []
    for start in range(0, draws, size):
        n = min(size, draws - start)
        drawn = random.integers(units, size=(n, units)) + units * np.arange(n)[:, None]
        chunks.append(score(np.bincount(drawn.ravel(), minlength=n * units).reshape(n, units).astype(float)))
    return {key: np.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]}


def percentiles(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare_paired(
    base: Sequence[Tally], other: Sequence[Tally], draws: int = 1000, seed: int = 0
) -> dict[str, PairedDifference]:
    """Mean score of `other` minus that of `base`, one tally a seed: both answered the same units.

    Each draw resamples the units, the same for all tallies, and the seeds of each system that has several.
    """
    units = base[0].units
    systems = [[(tally, _places(units, tally)) for tally in tallies] for tallies in (base, other)]
    random = np.random.default_rng([seed, 1])  # seeds are drawn apart from units

    def drawn(weights: np.ndarray) -> DrawnScores:
        """The difference in each draw, its seeds drawn with replacement."""
        means = []
        for tallies in systems:
            n = len(tallies)
            shares = random.multinomial(n, [1 / n] * n, size=len(weights)) / n
            scores = [tally.score(weights[:, places]) for tally, places in tallies]
            means.append({key: sum(shares[:, k] * score[key] for k, score in enumerate(scores)) for key in scores[0]})
        return {key: means[1][key] - means[0][key] for key in means[0]}

    def observed(tallies: Sequence[Tally], key: str) -> float:
        return float(np.mean([tally.score(np.ones((1, len(tally.units))))[key] for tally in tallies]))

    return {
        key: PairedDifference(observed(other, key) - observed(base, key), *percentiles(found), p_value(found))
        for key, found in resampled(drawn, len(units), draws, seed).items()
    }


def _places(units: Sequence[Hashable], tally: Tally) -> np.ndarray:
    """Where the tally's units stand among `units`; both must be the same."""
    place = {unit: k for k, unit in enumerate(units)}
    if place.keys() != set(tally.units):
        stranger = next(iter(place.keys() ^ set(tally.units)))
        raise DataError(
            f"cannot be paired: {len(units):,} units against {len(tally.units):,}, and {stranger!r} is in one only: "
            "compare runs that were scored on the same examples"
        )
    return np.array([place[unit] for unit in tally.units])


def p_value(differences: np.ndarray) -> float:
    """Twice the share of draws on the rarer side of 0, never 0 itself: a draw more could have been there."""
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return math.nan
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (len(differences) + 1)))


def mcnemar(base: Sequence[bool], other: Sequence[bool]) -> float:
    """Exact two-sided p value for two systems that were right or wrong on the same examples."""
    if len(base) != len(other):
        raise DataError(f"cannot be paired: {len(base):,} answers against {len(other):,}")
    only_base = sum(a and not b for a, b in zip(base, other, strict=True))
    only_other = sum(b and not a for a, b in zip(base, other, strict=True))
    n, rarer = only_base + only_other, min(only_base, only_other)
    # Logarithms, because 0.5**n is 0 from n = 1075 on.
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(rarer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(log - n * math.log(2)) for log in logs))


def holm(p_values: Mapping[Test, float]) -> dict[Test, float]:
    """p values corrected for their number; NaN stays NaN and does not count."""
    known = sorted((p, test) for test, p in p_values.items() if not math.isnan(p))
    corrected, largest = dict(p_values), 0.0
    for rank, (p, test) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[test] = largest
    return corrected
