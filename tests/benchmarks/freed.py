"""What it is worth on a CPU that freed memory stays with the process: updates with and without it, in turns.

python tests/benchmarks/freed.py MODEL_DIR DATA_DIR [TASK ...] [--updates 10] [--rounds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import time
from pathlib import Path
from statistics import median
from unittest.mock import patch

from encoder_scores import REGISTRY, plan_of

from glue_harness.lab.assemble import assemble
from glue_harness.lab.request import make_request
from glue_harness.train import loop
from glue_harness.train.loop import State


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "data"):
        asked.add_argument(name, type=Path)
    asked.add_argument("tasks", nargs="*", default=["sst2", "rte"])
    asked.add_argument("--updates", type=int, default=10)
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()
    for task in given.tasks:
        steps = given.updates * (2 * given.rounds + 1)
        setup = assemble(make_request(plan_of((task,), steps, given.model, given.data, 0), REGISTRY))

        def seconds(kept: bool, first: int, setup=setup) -> float:
            plan = setup.learner.plan.replace(steps=first + given.updates)
            learner = type(setup.learner)(**{**vars(setup.learner), "plan": plan})
            how = contextlib.nullcontext() if kept else patch.object(loop, "kept_when_freed", contextlib.nullcontext)
            with how:
                began = time.perf_counter()
                loop.train(learner, setup.feed, setup.machine, [], setup.fit, State(step=first))
                return time.perf_counter() - began

        seconds(True, 0)
        pairs = [
            [seconds(kept, (1 + 2 * k + kept) * given.updates) for kept in (False, True)] for k in range(given.rounds)
        ]
        ratios = [given_back / kept for given_back, kept in pairs]
        print(task, f"{median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


if __name__ == "__main__":
    main()
