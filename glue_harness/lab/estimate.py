"""What a plan will cost, before an hour is spent: memory by counting, time by a few passes that train nothing."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from glue_harness.lab.assemble import Setup
from glue_harness.train.passes import accumulate

TIMED = 3  # updates
FLOATS = {"adamw": 4, "adafactor": 2}  # per trained parameter: weight, gradient, moments


def estimate(setup: Setup) -> dict[str, Any]:
    """Bytes of weights and optimiser state, and seconds of training (evaluation comes on top)."""
    seconds = seconds_per_update(setup)
    return {
        "parameters": setup.learner.counts,
        "learn_at_first": setup.learner.learn_at_first,
        "state_bytes": state_bytes(setup),
        "seconds_per_step": seconds,
        "training_seconds": seconds * setup.request.plan.steps,
    }


def state_bytes(setup: Setup) -> int:
    """Weights, and gradients and moments of what learns, at its most."""
    counts = setup.learner.counts
    floats = FLOATS.get(setup.request.plan.optimizer, max(FLOATS.values()))
    return 4 * (counts["total"] + (floats - 1) * counts["trainable"])


def seconds_per_update(setup: Setup) -> float:
    """Median over a few forward and backward passes, each done once before, without graphs: making them takes longer
    than an estimate may. Gradients are thrown away."""
    learner, steps = setup.learner, setup.request.plan.steps
    module = learner.model.module.train()
    if hasattr(learner.method, "on_step"):
        learner.method.on_step(learner.model, learner.plan, steps // 2)  # half way, as an average
    taken = []
    for step in range(TIMED):
        for _ in range(2):
            began = time.perf_counter()
            sums = accumulate(learner.model, setup.feed.update(step % steps), setup.machine, setup.fit)
            sums.tolist()  # waits for a GPU
            module.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - began)
    return median(taken)
