"""Sides that do the same work, measured in turn: whatever else loads the machine slows all of them."""

from __future__ import annotations

import ctypes
import gc
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

RESET_PEAK = "5"  # what clears a process's resident peak, see proc(5)


@dataclass(frozen=True)
class Side:
    """One way of doing the work."""

    name: str
    does: str  # in a line
    padded: int  # input tokens that the model sees, padding included
    run: Callable[[], float]  # does it once, from the same start, and tells the seconds that count


@dataclass(frozen=True)
class Times:
    """What a side's runs took."""

    warm_up: float  # seconds of the first run, which is apart: on CUDA it compiles
    seconds: list[float]
    memory: int | None  # most bytes held at once beyond those before a run

    @property
    def extra(self) -> float:
        """What the first run took longer."""
        return max(0.0, self.warm_up - median(self.seconds))


def compete(sides: Sequence[Side], repeats: int, device: torch.device) -> dict[str, Times]:
    """Every side warms up, then they take turns; who begins changes from round to round."""
    warm_up = {side.name: side.run() for side in sides}
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    memory: dict[str, list[int]] = {side.name: [] for side in sides}
    for number in range(repeats):
        first = number % len(sides)
        for side in [*sides[first:], *sides[:first]]:
            gc.collect()
            before = reset_peak(device)
            seconds[side.name].append(side.run())
            if before is not None:
                memory[side.name].append(max(0, peak(device) - before))
    return {
        side.name: Times(warm_up[side.name], seconds[side.name], max(memory[side.name], default=None)) for side in sides
    }


def speed_up(ours: Times, theirs: Times) -> float:
    """Our speed over theirs: the median over rounds, each compared within itself."""
    return median(slow / fast for slow, fast in zip(theirs.seconds, ours.seconds, strict=True))


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Stopwatch:
    """Seconds between entering and leaving, the device's work included."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0

    def __enter__(self) -> Stopwatch:
        synchronize(self.device)
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        synchronize(self.device)
        self.seconds = time.perf_counter() - self.began


def reset_peak(device: torch.device) -> int | None:
    """Starts to watch memory and tells how much is held; None where the system does not say."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # else what an earlier side freed counts as held
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    except OSError:
        return None
    return _resident("VmRSS")


def peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident("VmHWM")


def _resident(what: str) -> int:
    return 1024 * int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())[1])
