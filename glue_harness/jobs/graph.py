"""What is to be run, and what must be finished before: a job starts from another if its plan's model names its plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from glue_harness.core.plan import Plan

Key = tuple[str, int]  # digest and seed: what makes a run the same run


@dataclass(frozen=True)
class Job:
    plan: Plan  # with its seed
    stage: str = ""  # its part in a whole, as its record says it
    name: str = ""  # its part as the launcher shows it
    notes: tuple[str, ...] = ()  # for its record
    until: int | None = None  # the step after which it pauses; it may go on later

    @cached_property
    def key(self) -> Key:
        return self.plan.digest, self.plan.seed

    @property
    def starts_from(self) -> Key | None:
        """The job whose weights it begins with, if its model is that of a plan."""
        kind, _, digest = self.plan.model.partition("@")[0].partition(":")
        return (digest, self.plan.seed) if kind == "plan" else None


def graph_of(jobs: Iterable[Job]) -> dict[Key, Job]:
    """Every job once, though several parts of a whole may build on it: the first that needs it names it."""
    found: dict[Key, Job] = {}
    for job in jobs:
        found.setdefault(job.key, job)
    return found
