"""Jobs in this process, in order: what `glue run` does when it is told nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from glue_harness.core.errors import GlueError, Interrupted
from glue_harness.core.plugins import own_failure
from glue_harness.jobs.executors import FAILED, FINISHED, PAUSED, TAKEN, Event
from glue_harness.jobs.graph import Job
from glue_harness.runs.folder import Taken


class Here:
    slots = 1

    def __init__(self, carry_out: Callable[[Job], Any]) -> None:
        self.carry_out = carry_out  # gives the record; Ctrl-C goes through
        self.happened: list[Event] = []

    def start(self, job: Job) -> None:
        try:
            record = self.carry_out(job)
        except Taken:
            self.happened.append(Event(job.key, TAKEN))
        except Interrupted:
            raise
        except Exception as error:
            told = str(error) if isinstance(error, GlueError) else own_failure(error)
            if not told:  # a bug of ours
                raise
            self.happened.append(Event(job.key, FAILED, text=told))
        else:
            what = FINISHED if record.status == "finished" else PAUSED
            self.happened.append(Event(job.key, what, run=record.id))

    def events(self, seconds: float) -> list[Event]:
        if not self.happened:  # what there is to do is done by another process
            time.sleep(seconds)
        happened, self.happened = self.happened, []
        return happened

    def stop(self) -> None:
        """Nothing is at work between two jobs."""

    def close(self) -> None:
        """Nothing is left."""
