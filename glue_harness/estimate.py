"""What a plan will cost, before an hour is spent: memory by counting, time by a few passes that train nothing."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from glue_harness.assemble import Setup
from glue_harness.models import count_parameters
from glue_harness.train import accumulate

TIMED = 3  # updates
FLOATS = {"adamw": 4, "adafactor": 2}  # per trained parameter: weight, gradient, moments


def estimate(setup: Setup) -> dict[str, Any]:
    """Bytes of weights and optimiser state, and seconds of training (evaluation comes on top)."""
    parameters = count_parameters(setup.model.module)
    frozen = parameters["total"] - parameters["trainable"]
    state = 4 * (frozen + FLOATS[setup.plan.optimizer] * parameters["trainable"])
    return {
        "parameters": parameters,
        "state_bytes": state,
        "seconds_per_step": (seconds := seconds_per_update(setup)),
        "training_seconds": seconds * setup.plan.steps,
    }


def seconds_per_update(setup: Setup) -> float:
    """Median over a few forward and backward passes; gradients are thrown away."""
    setup.model.module.train()
    taken = []
    for step in range(1 + TIMED):
        began = time.perf_counter()
        accumulate(setup.model, setup.feed.update(step % setup.plan.steps), setup.machine)
        setup.model.module.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - began)
    return median(taken[1:])
