"""Where jobs are carried out, as `--on` names it: here in order, by processes, by a Ray cluster, by SLURM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.jobs.executors import Executor, Workplace
from glue_harness.jobs.graph import Job

MOST_PROCESSES = 1024
AT_ONCE = 8  # jobs on a cluster whose size is not known yet


def executor_for(on: str, place: Workplace, here: Callable[[Job], Any]) -> Executor:
    """The executor that `--on` names. `here` carries a job out in this process."""
    kind, _, rest = on.partition("?")[0].partition(":")
    if on == "local":
        from glue_harness.jobs.here import Here

        return Here(here)
    if kind == "local":
        from glue_harness.jobs.processes import Processes

        return Processes(place, count_of(rest))
    if kind == "ray":
        from glue_harness.jobs.on_ray import OnRay

        return OnRay(place, on)
    if kind == "slurm":
        from glue_harness.jobs.on_slurm import OnSlurm

        return OnSlurm(place, on)
    raise UsageError(f"unknown place {on!r}: --on takes local, local:N, ray, ray:ADDRESS or slurm")


def slots_of(on: str) -> int:
    """How many jobs it makes sense to have begun, before an executor knows it."""
    kind, _, rest = on.partition("?")[0].partition(":")
    return (count_of(rest) if rest else 1) if kind == "local" else AT_ONCE


def count_of(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PROCESSES:
        raise UsageError(f"--on local:{text} asks for no number of processes: write local:2, up to {MOST_PROCESSES}")
    return int(text)
