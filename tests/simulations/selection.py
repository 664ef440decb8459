"""What choosing the best of ten evaluations adds to a score, and what is left of that without luck.

python tests/simulations/selection.py       the table of docs/statistics.md, about a minute
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
from worlds import CB, CDF, NORMAL, RTE, SST2, World, printed

from glue_harness.core.task import Tally
from glue_harness.metrics.crossfit import update, without_luck
from glue_harness.metrics.units import Share

STEPS = 10
WORLDS = (replace(CB, name="CB accuracy", metric="accuracy", right=(0.92,), classes=(1.0,)), RTE, SST2)
WANDER = {"flat": 0.0, "wandering": 1.0, "rising": 0.0}  # points of accuracy that steps truly differ by


def run(world: World, shape: str, random: np.random.Generator) -> tuple[float, float, float]:
    """What a run shows at its best step, without luck, and what that step truly scores."""
    (latent,) = world.latent
    slope = 100 * NORMAL.pdf(latent)
    drift = random.standard_normal(STEPS) * WANDER[shape] / slope
    if shape == "rising":
        drift = -np.exp(-np.arange(STEPS) / 2) * 10 / slope
    difficulty, own = random.standard_normal(world.n), random.standard_normal((STEPS, world.n))
    right = latent + drift[:, None] + np.sqrt(0.9) * difficulty + np.sqrt(0.1) * own > 0
    kept, shown = None, []
    for of_step in right.astype(float):
        tally = Tally(
            range(world.n),
            lambda w, of_step=of_step: {"accuracy": 100 * (w @ of_step) / w.sum(axis=1)},
            None,
            {"accuracy": Share(of_step, np.ones(world.n))},
        )
        kept = update(kept, {"task": [tally]})
        shown.append(100 * of_step.mean())
    best = int(np.argmax(shown))
    honest = without_luck(kept)["task"]["accuracy"]
    return shown[best], honest, 100 * float(CDF(latent + drift[best]))


def biases(world: World, shape: str, times: int) -> tuple[float, float]:
    """Mean of what is shown, and of what is shown without luck, above what the step truly scores."""
    random = np.random.default_rng([5, times])
    found = np.array([run(world, shape, random) for _ in range(times)])
    return tuple((found[:, :2] - found[:, 2:]).mean(axis=0))


def full(times: int) -> None:
    began, rows = perf_counter(), []
    for world in WORLDS:
        for shape in WANDER:
            shown, honest = biases(world, shape, times)
            rows.append([world.name, shape, f"{shown:+.2f}", f"{honest:+.2f}"])
    printed(
        "Points above what the chosen step truly scores, best of ten evaluations",
        ["task", "steps", "as shown", "without luck"],
        rows,
        began,
    )


if __name__ == "__main__":
    full(1000)
