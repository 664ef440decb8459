"""How sure a difference of scores is: one test for any metric, over seeds and examples; Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from glue_harness.core.errors import DataError
from glue_harness.core.task import Tally
from glue_harness.metrics.bootstrap import cluster_places, resampled
from glue_harness.metrics.power import BOTH, EXAMPLES
from glue_harness.metrics.student import t_quantile, two_sided
from glue_harness.metrics.units import DrawnScores

FEWEST_SEEDS = 2  # a side, to judge recipes: one seed cannot tell them from luck
Test = TypeVar("Test", bound=Hashable)


class PairedDifference(NamedTuple):
    """How much better (+) or worse (-) the second of two systems scored, on the same units."""

    difference: float
    low: float  # 95 %
    high: float
    p: float  # two-sided
    se: float = math.nan
    df: float = math.nan
    over: str = EXAMPLES  # of these two models only; or of their recipes, over seeds too


def compare_paired(
    base: Sequence[Tally], other: Sequence[Tally], draws: int = 1000, seed: int = 0
) -> dict[str, PairedDifference]:
    """Mean score of `other` minus that of `base`, one tally a seed: all answered the same units.

    D is the difference of the means over seeds. Its variance has a part of the seeds, s^2/k of each side, which holds
    what seeds make of single examples too, and a part of the examples, from a bootstrap of clusters with the seeds as
    they are. The latter holds what seeds make of single examples a second time, I/k of each side, which is taken off:

        V = s_A^2/k_A + s_B^2/k_B + max(0, V_boot - I_A/k_A - I_B/k_B) + (100/n)^2 (1/k_A + 1/k_B)/2
        I = mean over draws b of the variance over seeds s of (score_s(b) - score_s)

    The last part is one example more on which a seed of either side could have been right alone (Agresti and Min's
    correction of few differences). t = D / sqrt(V) has Satterthwaite's degrees of freedom: V^2 over the sum of each
    part squared over its own (k_A-1, k_B-1, clusters-1). With one seed on a side there is no part of the seeds: the
    test is of the models at hand.
    """
    places, scores = cluster_places(base[0]), stacked([*base, *other])
    n, clusters, seeds = len(base[0].units), int(places.max()) + 1, (len(base), len(other))
    over = BOTH if min(seeds) >= FEWEST_SEEDS else EXAMPLES

    def parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return values[: seeds[0]], values[seeds[0] :]

    seen, drawn, found = scores(np.ones((1, n))), resampled(scores, places, draws, seed), {}
    small = clusters / max(1, clusters - 1)  # a bootstrap's variance is that of C-1 of C clusters
    for key, values in seen.items():
        a, b = parts(values[:, 0])
        of_draws = drawn[key][:, ~np.isnan(drawn[key]).any(axis=0)]
        difference = float(b.mean() - a.mean())
        if math.isnan(difference) or clusters < 2 or of_draws.shape[1] < 2:
            found[key] = PairedDifference(difference, math.nan, math.nan, math.nan, over=over)
            continue
        boot = [side.mean(axis=0) for side in parts(of_draws)]
        of_examples = small * float(np.var(boot[1] - boot[0], ddof=1))
        terms: list[tuple[float, float]] = []  # parts of the variance, and the degrees of freedom of each
        if over == BOTH:
            for side, moved in zip((a, b), parts(of_draws - values), strict=True):
                k = len(side)
                of_examples -= small * float(np.var(moved, axis=0, ddof=1).mean()) / k
                terms.append((float(np.var(side, ddof=1)) / k, k - 1))
        terms += [(max(0.0, of_examples), clusters - 1), ((100 / n) ** 2 * sum(1 / k for k in seeds) / 2, math.inf)]
        variance = sum(part for part, _ in terms)
        df = variance**2 / (sum(part**2 / of_part for part, of_part in terms) or math.nan)
        found[key] = judged(difference, math.sqrt(variance), math.inf if math.isnan(df) else df, over)
    return found


def churn_variance(tallies: Sequence[Tally], draws: int = 200, seed: int = 0) -> dict[str, float]:
    """I of `compare_paired`: what answers that change from seed to seed add to the variance of a value over seeds.

    For accuracy it is 100^2 churn/2n, where churn is the share of answers that are right with one seed of two only.
    """
    places, scores = cluster_places(tallies[0]), stacked(tallies)
    seen, drawn = scores(np.ones((1, len(places)))), resampled(scores, places, draws, seed)
    return {key: float(np.nanmean(np.var(drawn[key] - values, axis=0, ddof=1))) for key, values in seen.items()}


def stacked(tallies: Sequence[Tally]) -> Callable[[np.ndarray], DrawnScores]:
    """Scores of several systems on the same samples of units, every value [systems, draws]."""
    orders = [_places(tallies[0].units, tally) for tally in tallies]

    def scores(weights: np.ndarray) -> DrawnScores:
        pairs = zip(tallies, orders, strict=True)
        found = [tally.score(weights if order is None else weights[:, order]) for tally, order in pairs]
        return {key: np.stack([of_system[key] for of_system in found]) for key in found[0]}

    return scores


def judged(difference: float, se: float, df: float, over: str) -> PairedDifference:
    """Interval and p value from one t, so that they never disagree."""
    half = t_quantile(0.975, df) * se
    p = two_sided(difference / se, df) if se else float(not difference)
    return PairedDifference(difference, difference - half, difference + half, p, se, df, over)


def _places(units: Sequence[Hashable], tally: Tally) -> np.ndarray | None:
    """Where the tally's units stand among `units`, None if in the same places; both must be the same units."""
    if list(units) == list(tally.units):
        return None
    place = {unit: k for k, unit in enumerate(units)}
    if place.keys() != set(tally.units):
        stranger = next(iter(place.keys() ^ set(tally.units)))
        raise DataError(
            f"cannot be paired: {len(units):,} units against {len(tally.units):,}, and {stranger!r} is in one only: "
            "compare runs that were scored on the same examples"
        )
    return np.array([place[unit] for unit in tally.units])


def holm(p_values: Mapping[Test, float]) -> dict[Test, float]:
    """p values corrected for their number; NaN stays NaN and does not count."""
    known = sorted((p, test) for test, p in p_values.items() if not math.isnan(p))
    corrected, largest = dict(p_values), 0.0
    for rank, (p, test) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[test] = largest
    return corrected
