"""Whether rows stand in the published order: Spearman's rank correlation, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 4000


class Order(NamedTuple):
    rho: float
    low: float  # 95 % of what the noise of both sides makes of it
    high: float
    p: float  # how often chance alone gives an order as like or as unlike
    n: int


def same_order(
    ours: Sequence[float], halves: Sequence[float], theirs: Sequence[float], their_halves: Sequence[float]
) -> Order | None:
    """None below three rows, or where one side's rows are all equal."""
    n = len(ours)
    if n < 3 or len(set(ours)) == 1 or len(set(theirs)) == 1:
        return None
    random = np.random.default_rng(0)
    rho = spearman(np.array([ours]), np.array([theirs]))[0]

    def drawn(values: Sequence[float], halves: Sequence[float]) -> np.ndarray:
        return np.array(values) + np.nan_to_num(np.array(halves)) / 1.96 * random.standard_normal((DRAWS, n))

    noisy = spearman(drawn(ours, halves), drawn(theirs, their_halves))
    shuffled = np.stack([random.permutation(n) for _ in range(DRAWS)])
    chance = spearman(np.array(ours)[shuffled], np.broadcast_to(theirs, (DRAWS, n)))
    p = (1 + (np.abs(chance) >= abs(rho) - 1e-12).sum()) / (1 + DRAWS)
    low, high = np.quantile(noisy, [0.025, 0.975])
    return Order(float(rho), float(low), float(high), float(p), n)


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each pair of lines; equal values share the middle of their ranks."""
    left, right = (centred(ranks(values)) for values in (a, b))
    return (left * right).sum(axis=1) / np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))


def ranks(values: np.ndarray) -> np.ndarray:
    below = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    return below + (equal - 1) / 2


def centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True)
