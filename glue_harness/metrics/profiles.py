"""Performance profiles (Agarwal et al. 2021): which part of all tasks and seeds scores more than a bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 1000


class Profile(NamedTuple):
    """At each bound, with the 95 % interval over seeds; None where no task has two of them."""

    parts: list[float]
    low: list[float] | None
    high: list[float] | None


def profile(scores: Sequence[Sequence[float]], bounds: Sequence[float], draws: int = DRAWS) -> Profile:
    """P(t) = mean over tasks of the part of their seeds that score more than t.

    `scores` has a list for each task, one a seed. A draw of the bootstrap takes the seeds of each task anew.
    """
    luck = np.random.default_rng(0)
    at = np.asarray(bounds)
    above = [np.asarray(of_task)[:, None] > at for of_task in scores]  # [seeds, bounds] of each task
    parts = np.mean([of_task.mean(axis=0) for of_task in above], axis=0)
    if all(len(of_task) < 2 for of_task in scores):
        return Profile(parts.tolist(), None, None)
    drawn = np.zeros((draws, len(at)))
    for of_task in above:
        chosen = luck.integers(len(of_task), size=(draws, len(of_task)))
        drawn += of_task[chosen].mean(axis=1) / len(above)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return Profile(parts.tolist(), low.tolist(), high.tolist())
