"""How sure a score is over examples: an interval of 95 % by the kind of the value, never of zero width."""

from __future__ import annotations

import math

import numpy as np

from glue_harness.core.task import Tally
from glue_harness.metrics.bootstrap import cluster_places, resampled
from glue_harness.metrics.student import NORMAL, t_quantile
from glue_harness.metrics.units import Cells, Share

PRIOR = 2.0  # examples' worth of ignorance, shared by all cells of a table of right and given answers
Interval = tuple[float, float]


def interval(tally: Tally, draws: int = 1000, seed: int = 0, level: float = 0.95) -> dict[str, Interval]:
    """Of every value of a tally; it always holds the value itself. (NaN, NaN) where that is undefined."""
    places = cluster_places(tally)
    clusters = int(places.max()) + 1
    # independent examples are many and their noise is known, that of a few clusters has to be estimated
    t = t_quantile((1 + level) / 2, math.inf if clusters == len(places) else max(1, clusters - 1))
    values = {key: float(value[0]) for key, value in tally.score(np.ones((1, len(places)))).items()}
    drawn = {}
    if any(not isinstance(tally.kinds.get(key), Share) for key in values):
        drawn = resampled(tally.score, places, draws, seed)
    found = {}
    for key, value in values.items():
        kind = tally.kinds.get(key)
        if math.isnan(value):
            low, high = math.nan, math.nan
        elif isinstance(kind, Share):
            low, high = of_share(kind, places, t)
        elif isinstance(kind, Cells):
            deff = 1.0
            if clusters < len(places):
                alone = resampled(tally.score, np.arange(len(places)), draws, seed)
                deff = ratio(float(np.nanvar(drawn[key])), float(np.nanvar(alone[key])), len(places) / clusters)
            low, high = of_cells(kind, deff, draws, seed, level)
        else:
            low, high = of_draws(drawn[key], value, clusters, level)
        found[key] = (min(low, value), max(high, value))
    return found


def wilson(share: float, n: float, z: float) -> Interval:
    """Wilson's interval: all p whose own noise z sqrt(p (1-p) / n) reaches the share that was seen.

    (share + z^2/2n -+ z sqrt(share (1 - share) / n + z^2/4n^2)) / (1 + z^2/n); from 0 to 1 where nothing was seen.
    """
    if not n:
        return 0.0, 1.0
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def of_share(kind: Share, places: np.ndarray, t: float) -> Interval:
    """Wilson's interval on q, of as many trials as independent ones would tell as much: n / deff."""
    n = float(kind.trials.sum())
    q = float(kind.hits.sum() / n) if n else 0.0
    low, high = wilson(q, n / design_effect(kind, q, places), t)
    return 100 * kind.value(low), 100 * kind.value(high)


def design_effect(kind: Share, q: float, places: np.ndarray) -> float:
    """How much noisier q is than if its trials were independent; at least 1.

    deff = C/(C-1) sum_c (sum of hits - q sum of trials, in cluster c)^2 / (n q (1-q)). Where all are hits or none is,
    that is 0/0, and each cluster counts as one trial.
    """
    clusters, n = int(places.max()) + 1, float(kind.trials.sum())
    if clusters == len(places) and (kind.trials <= 1).all():
        return 1.0
    most = max(1.0, n / clusters)
    off = np.bincount(places, kind.hits - q * kind.trials)
    return ratio(clusters / max(1, clusters - 1) * float((off**2).sum()), n * q * (1 - q), most)


def ratio(clustered: float, alone: float, otherwise: float) -> float:
    return max(1.0, clustered / alone) if alone > 0 else otherwise


def of_cells(kind: Cells, deff: float, draws: int, seed: int, level: float) -> Interval:
    """The middle of what the value is for shares of the cells drawn from Dirichlet(counts / deff + PRIOR / cells)."""
    alpha = kind.counts.ravel() / deff + PRIOR / kind.counts.size
    shares = np.random.default_rng([seed, 2]).dirichlet(alpha, size=draws)
    return percentiles(kind.value(shares.reshape(draws, *kind.counts.shape)), level)


def of_draws(drawn: np.ndarray, value: float, clusters: int, level: float) -> Interval:
    """Percentiles of the bootstrap, a little further out as Student's t is (Hesterberg's expanded percentiles).

    A bootstrap that never moves tells nothing: then the value is taken for a share of as many trials as clusters.
    """
    if np.nanmax(drawn, initial=-math.inf) > np.nanmin(drawn, initial=math.inf):
        t = t_quantile((1 + level) / 2, clusters - 1) * math.sqrt(clusters / (clusters - 1))
        return percentiles(drawn, 2 * NORMAL.cdf(t) - 1)
    z = t_quantile((1 + level) / 2, math.inf)
    low, high = (100 * share for share in wilson(min(1.0, abs(value) / 100), clusters, z))
    return (low, high) if value >= 0 else (-high, -low)


def percentiles(values: np.ndarray, level: float = 0.95) -> Interval:
    """The middle of all values that are defined."""
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
