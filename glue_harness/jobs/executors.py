"""What every way to carry jobs out has in common, and what it tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from glue_harness.jobs.graph import Job, Key
from glue_harness.runs.care import NO_MARKS, Marks

# How a job can end
FINISHED, PAUSED, FAILED, STOPPED, TAKEN, LOST = "finished", "paused", "failed", "stopped", "taken", "lost"
ENDS = (FINISHED, PAUSED, FAILED, STOPPED, TAKEN, LOST)


class Event(NamedTuple):
    """What happened to a job: it `began`, made a `step`, was `scored`, or one of `ENDS`."""

    key: Key
    what: str
    run: str = ""  # its id, once it has one
    where: str = ""
    step: int = 0
    steps: int = 0
    text: str = ""  # scores, or why it failed


class Executor(Protocol):
    """Carries jobs out, some at once, and tells what happens to each. A job is begun only when there is a free slot."""

    @property
    def slots(self) -> int:
        """How many jobs it carries out at once."""

    def start(self, job: Job) -> None: ...
    def events(self, seconds: float) -> Sequence[Event]:
        """What happened since it was asked last; waits for the first event at most so long."""

    def stop(self) -> None:
        """Asks every job at work to save and to end; each still tells how it did."""

    def close(self) -> None:
        """Nothing of it is left running."""


@dataclass(frozen=True)
class Workplace:
    """What whoever carries out jobs elsewhere has to know."""

    results: Path
    task_folders: tuple[str, ...] = ()
    checkpoint_every: int | None = None
    marks: Marks = NO_MARKS
    track: tuple[str, ...] = ()

    @property
    def how(self) -> dict[str, Any]:
        """What every run of the command is carried out with."""
        return {"checkpoint_every": self.checkpoint_every, "marks": self.marks, "track": self.track}
