"""How probable it is that a seed of one recipe beats a seed of another on the same task (Agarwal et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 2000


class Improvement(NamedTuple):
    probability: float
    low: float  # 95 %, over seeds
    high: float


def improvement(first: Sequence[Sequence[float]], other: Sequence[Sequence[float]], draws: int = DRAWS) -> Improvement:
    """P(other > first): of each task the share of pairs of seeds that it wins, equals as half; the mean over tasks.

    Both have a list of scores a task, one a seed. A draw of the bootstrap takes seeds of each task and side anew.
    """
    luck = np.random.default_rng(0)
    whole, drawn = [], []
    for a, b in zip(map(np.asarray, first), map(np.asarray, other), strict=True):
        wins = (b[:, None] > a) + 0.5 * (b[:, None] == a)  # [seeds of other, seeds of first]
        rows, columns = luck.integers(len(b), size=(draws, len(b))), luck.integers(len(a), size=(draws, len(a)))
        whole.append(wins.mean())
        drawn.append(wins[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2)))
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    return Improvement(float(np.mean(whole)), float(low), float(high))
