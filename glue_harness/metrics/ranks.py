"""Several systems over several tasks: their mean ranks, and which of these a test tells apart (Demsar 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from glue_harness.metrics.student import NORMAL

SIGNIFICANT = 0.05


class Ranks(NamedTuple):
    """Of k systems over N tasks; ranks are from 1, the best, and equals share the mean of theirs."""

    means: list[float]
    p: float  # of Friedman's test: is any system other than the others?
    groups: list[list[int]]  # systems that no test tells apart, each group as large as it can be, in the order of ranks
    tasks: int


def over_tasks(scores: Sequence[Sequence[float]]) -> Ranks:
    """`scores` has a list for each system, a value a task: larger is better.

    Friedman's chi2 = (12 / (N k (k+1)) sum R_j^2 - 3 N (k+1)) / (1 - sum(t^3 - t) / (N k (k^2-1))), R_j a sum of ranks
    and t the size of each tie, has k-1 degrees of freedom. If it is significant, each pair is tested by
    z = (R_i - R_j) / (N sqrt(k (k+1) / 6N)), with Holm's correction.
    """
    from glue_harness.metrics.stats import holm

    k, n = len(scores), len(scores[0])
    by_task = [ranked([of_system[task] for of_system in scores]) for task in range(n)]
    sums = [sum(ranks[system] for ranks in by_task) for system in range(k)]
    ties = sum(ranks.count(rank) ** 3 - ranks.count(rank) for ranks in by_task for rank in set(ranks))
    spread = 1 - ties / (n * k * (k**2 - 1))
    chi2 = (12 / (n * k * (k + 1)) * sum(s**2 for s in sums) - 3 * n * (k + 1)) / spread if spread else 0.0
    p, means = chi2_above(chi2, k - 1), [s / n for s in sums]
    order = sorted(range(k), key=lambda system: means[system])
    if p >= SIGNIFICANT:
        return Ranks(means, p, [order], n)
    error = math.sqrt(k * (k + 1) / (6 * n))
    pairs = holm({(a, b): 2 * NORMAL.cdf(-abs(means[a] - means[b]) / error) for a, b in combinations(order, 2)})
    groups: list[list[int]] = []
    for start in range(k):
        end = start
        while end + 1 < k and all(pairs[order[a], order[end + 1]] >= SIGNIFICANT for a in range(start, end + 1)):
            end += 1
        group = order[start : end + 1]
        if not groups or not set(group) <= set(groups[-1]):
            groups.append(group)
    return Ranks(means, p, groups, n)


def ranked(values: Sequence[float]) -> list[float]:
    """1 for the largest; equals share the mean of their ranks."""
    return [sum(v > value for v in values) + (1 + sum(v == value for v in values)) / 2 for value in values]


def chi2_above(x: float, df: int) -> float:
    """P(chi2 > x) = Q(df/2, x/2), by Q(a+1, y) = Q(a, y) + y^a e^-y / Gamma(a+1)."""
    y = max(0.0, x) / 2
    a, found = (0.5, math.erfc(math.sqrt(y))) if df % 2 else (1.0, math.exp(-y))
    while a < df / 2:
        found += math.exp(a * math.log(y) - y - math.lgamma(a + 1)) if y else 0.0
        a += 1
    return min(1.0, found)
