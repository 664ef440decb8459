"""Samples of the examples with replacement, whole clusters at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from glue_harness.core.task import Tally
from glue_harness.metrics.units import DrawnScores

CHUNK = 2_000_000  # weights held in memory at once


def cluster_places(tally: Tally) -> np.ndarray:
    """The number of each unit's cluster, [units], clusters numbered as they come."""
    clusters: Sequence[Hashable] = tally.units if tally.clusters is None else tally.clusters
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])


def resampled(score: Callable[[np.ndarray], DrawnScores], places: np.ndarray, draws: int, seed: int) -> DrawnScores:
    """Scores of samples of clusters, each value [..., draws]; `places` are the units' clusters."""
    chunks = [score(weights) for weights in drawn_weights(places, draws, seed)]
    return {key: np.concatenate([chunk[key] for chunk in chunks], axis=-1) for key in chunks[0]}


def drawn_weights(places: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """How often each unit was drawn, [some draws, units], in chunks whose size does not change the numbers."""
    random = np.random.default_rng(seed)
    clusters = int(places.max()) + 1
    size = max(1, CHUNK // len(places))
    for start in range(0, draws, size):
        n = min(size, draws - start)
        drawn = random.integers(clusters, size=(n, clusters)) + clusters * np.arange(n)[:, None]
        of_clusters = np.bincount(drawn.ravel(), minlength=n * clusters).reshape(n, clusters).astype(float)
        yield of_clusters if clusters == len(places) else of_clusters[:, places]
