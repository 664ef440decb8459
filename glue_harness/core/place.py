"""Which of several processes of one run this one is, as `torchrun` says it in the environment."""

from __future__ import annotations

import os
from typing import NamedTuple

from glue_harness.core.errors import UsageError


class Place(NamedTuple):
    rank: int = 0
    size: int = 1  # processes of the run
    local: int = 0  # which of those of its machine: the number of its GPU
    beside: int = 1  # processes of the run on its machine
    restarts: int = 0  # how often torchrun has begun again
    job: str = ""  # the same after each restart


def place() -> Place:
    """Of this process; a process that was started alone is the only one."""
    size = number("WORLD_SIZE", 1)
    if size == 1:
        return Place()
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        raise UsageError(
            f"WORLD_SIZE is {size} but RANK or MASTER_ADDR is not set: use glue run --processes {size}, or torchrun"
        )
    rank = number("RANK", 0)
    job = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return Place(
        rank,
        size,
        number("LOCAL_RANK", rank),
        number("LOCAL_WORLD_SIZE", size),
        number("TORCHELASTIC_RESTART_COUNT", 0),
        job if job != "none" else f"launcher {os.getppid()}",  # torchrun's name for jobs that were given none
    )


def number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise UsageError(f"{name} is {text!r} in the environment: it must be a number, as torchrun sets it")
    return int(text)
