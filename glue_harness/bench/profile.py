"""Where a training step's time goes: the real loop, with a clock at each of its parts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from glue_harness.bench.contest import synchronize
from glue_harness.lab.assemble import Setup
from glue_harness.train import loop
from glue_harness.train.optimizers import make_optimizer

PARTS = ("data", "forward", "backward", "optimizer", "sync", "other")


def profile(setup: Setup) -> dict[str, Any]:
    """Medians over the plan's steps but the first, in seconds."""
    optimizer = make_optimizer(setup.plan, setup.parameters)
    timed = {
        "data": [(setup.feed, "update"), (setup.model, "lay")],
        "forward": [(setup.model, "loss")],
        "backward": [(torch.Tensor, "backward")],
        "optimizer": [(loop, "clip"), (optimizer, "step"), (optimizer, "zero_grad")],
        "sync": [(loop, "settle")],
    }
    clock = Clock(setup.machine.device)
    steps: list[Counter[str]] = []

    def finish(state: loop.State) -> None:
        steps.append(clock.take())

    with contextlib.ExitStack() as stack:
        for part, places in timed.items():
            for owner, name in places:
                stack.enter_context(patch.object(owner, name, clock.timed(part, getattr(owner, name))))
        hooks = [loop.Hook(1, finish)]
        learned = (setup.model, setup.method, setup.parameters, optimizer)
        loop.train(*learned, setup.feed, setup.plan, setup.machine, hooks, setup.fit)
    seconds = {part: median(step[part] for step in steps[1:]) for part in PARTS}
    total = sum(seconds.values())
    return {
        "step": total,
        "parts": {part: {"seconds": value, "share": value / total} for part, value in seconds.items()},
    }


class Clock:
    """Gives every moment to the innermost part under way. It waits for a GPU wherever a part begins or ends."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: Counter[str] = Counter()
        self.open = ["other"]
        self.thread = threading.get_ident()
        self.since = time.perf_counter()

    def take(self) -> Counter[str]:
        """What was counted since the last time."""
        self._count()
        taken, self.seconds = self.seconds, Counter()
        return taken

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() != self.thread:  # made beside the steps, it takes none of their time
                return function(*arguments, **named)
            with self._inside(part):
                return function(*arguments, **named)

        return call

    @contextlib.contextmanager
    def _inside(self, part: str) -> Iterator[None]:
        self._count()
        self.open.append(part)
        try:
            yield
        finally:
            self._count()
            self.open.pop()

    def _count(self) -> None:
        synchronize(self.device)
        now = time.perf_counter()
        self.seconds[self.open[-1]] += now - self.since
        self.since = now
