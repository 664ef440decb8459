"""A task's score without the luck of choosing its step: chosen on one half of the examples, scored on the other."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glue_harness.core.task import Tally
from glue_harness.metrics.bootstrap import cluster_places

HALVINGS = 100
Kept = dict[str, Any]  # "best": [halves], and "scores": task -> key -> [halves]; as JSON has it, so None for NaN


def update(kept: Kept | None, tallies: Mapping[str, Sequence[Tally]]) -> Kept:
    """What is known after one evaluation more of a group of tasks, so that no answers need to be kept.

    Of every half: the best mean so far (T5's rule: over all defined values, of equals the earliest), and what the step
    of that mean scored on the other half.
    """
    here = {task: _halves_of(of_task) for task, of_task in tallies.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a mean of nothing is NaN, and no step is chosen by it
        mean = np.nanmean([values for of_task in here.values() for values in of_task.values()], axis=0)
    best = np.full(len(mean), -math.inf) if kept is None else _array(kept["best"], -math.inf)
    better = np.nan_to_num(mean, nan=-math.inf) > best
    chosen = np.ones_like(better) if kept is None else better

    def scores(task: str, key: str, values: np.ndarray) -> list[float | None]:
        before = values if kept is None else _array(kept["scores"][task][key], math.nan)
        return _listed(np.where(chosen, np.roll(values, HALVINGS), before))  # half h's other half is h + HALVINGS

    return {
        "best": _listed(np.where(better, mean, best)),
        "scores": {t: {key: scores(t, key, values) for key, values in of.items()} for t, of in here.items()},
    }


def without_luck(kept: Kept) -> dict[str, dict[str, float | None]]:
    """Task -> value -> its mean over all halves, each scored at the step that its other half chose."""
    found: dict[str, dict[str, float | None]] = {}
    for task, of_task in kept["scores"].items():
        defined = {key: [value for value in values if value is not None] for key, values in of_task.items()}
        found[task] = {key: math.fsum(values) / len(values) if values else None for key, values in defined.items()}
    return found


def _halves_of(tallies: Sequence[Tally]) -> dict[str, np.ndarray]:
    """Every value of a task on every half, [2 HALVINGS]."""
    return {key: values for tally in tallies for key, values in tally.score(halves(cluster_places(tally))).items()}


def halves(places: np.ndarray) -> np.ndarray:
    """Weights of 0 or 1, [2 HALVINGS, units]: halves of the clusters at random, then the other half of each."""
    clusters = int(places.max()) + 1
    order = np.random.default_rng(0).permuted(np.tile(np.arange(clusters), (HALVINGS, 1)), axis=1)
    first = (order < clusters // 2)[:, places].astype(float)
    return np.concatenate([first, 1 - first])


def _array(values: Sequence[float | None], missing: float) -> np.ndarray:
    return np.array([missing if value is None else value for value in values], dtype=float)


def _listed(values: np.ndarray) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]
