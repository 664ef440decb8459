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
    return {
        "parameters": setup.counts,
        "learn_at_first": setup.learn_at_first,
        "state_bytes": state_bytes(setup),
        "seconds_per_step": (seconds := seconds_per_update(setup)),
        "training_seconds": seconds * setup.plan.steps,
    }


def state_bytes(setup: Setup) -> int:
    """Weights, and gradients and moments of what learns, at its most."""
    learning = setup.counts["trainable"]
    return 4 * (setup.counts["total"] + (FLOATS[setup.plan.optimizer] - 1) * learning)


def seconds_per_update(setup: Setup) -> float:
    """Median over a few forward and backward passes, each done before for its graph; gradients are thrown away."""
    setup.model.module.train()
    if hasattr(setup.method, "on_step"):
        setup.method.on_step(setup.model, setup.plan, setup.plan.steps // 2)  # half way, as an average
    taken = []
    for step in range(TIMED):
        for _ in range(2):
            began = time.perf_counter()
            sums = accumulate(setup.model, setup.feed.update(step % setup.plan.steps), setup.machine, setup.fit)
            sums.tolist()  # waits for a GPU
            setup.model.module.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - began)
    return median(taken)
