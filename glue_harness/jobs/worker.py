"""A worker: carries out the jobs that come down its connection, one after the other, and tells what happens to each.

python -m glue_harness.jobs.worker FD, started by `processes.py`. Torch is imported once, for all jobs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from glue_harness.core.errors import GlueError, Stopped
from glue_harness.core.plugins import own_failure
from glue_harness.core.record import Record
from glue_harness.jobs.executors import FAILED, FINISHED, PAUSED, STOPPED, TAKEN, Event, Workplace
from glue_harness.jobs.graph import Job
from glue_harness.jobs.trials import CLAIMS, carry_out
from glue_harness.lab.assemble import Setup
from glue_harness.report.console import or_undefined
from glue_harness.runs.folder import Taken
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry, load_tasks
from glue_harness.train.loop import State

TELL_EVERY = 0.5  # seconds
LOG = "log.txt"  # in the folder of a run


class Teller:
    """Watches a run for a launcher elsewhere, and writes its log."""

    def __init__(self, job: Job, log: Path, tell: Callable[[Event], None]) -> None:
        self.job, self.log, self.tell = job, log, tell
        self.run, self.steps, self.told, self.loss = "", 0, 0.0, 0.0
        self.where = f"{socket.gethostname()} {os.getpid()}"

    def assembled(self, setup: Setup, record: Record, folder: Path) -> None:
        self.run, self.steps = record.id, setup.request.plan.steps
        os.replace(self.log, folder / LOG)  # whoever writes it goes on in the same file
        print(f"run {record.id}, process {os.getpid()}", *record.notes, sep="\n", flush=True)
        self._tell("began", record.resumed[-1] if record.resumed else 0)

    def stepped(self, setup: Setup, state: State) -> None:
        self.loss = state.loss
        if (now := time.monotonic()) - self.told >= TELL_EVERY:
            self.told = now
            self._tell("step", state.step)

    def scored(self, step: int, values: dict[str, dict[str, float | None]]) -> None:
        print(f"step {step:>6}  loss {self.loss:.3f}  {written(values)}", flush=True)
        self._tell("scored", step, written(values))

    def answered(self, done: int, asked: int) -> None:
        """An evaluation is told when it is over."""

    def stopping(self, text: str) -> None:
        """Nobody looks at this terminal."""

    def _tell(self, what: str, step: int, text: str = "") -> None:
        self.tell(Event(self.job.key, what, self.run, self.where, step, self.steps, text))


def written(values: Mapping[str, Mapping[str, float | None]]) -> str:
    """Scores of tasks on one line."""
    found = {task: "/".join(or_undefined(value, ".1f") for value in of.values()) for task, of in values.items()}
    return "  ".join(f"{task} {shown}" for task, shown in found.items())


def attempt(job: Job, place: Workplace, registry: Registry, tell: Callable[[Event], None]) -> Event:
    """Carries a job out; how it ended."""
    store = Store(place.results)
    log = place.results / CLAIMS / f"{job.key[0]}-{job.key[1]}-{os.getpid()}.txt"
    teller = Teller(job, log, tell)
    with written_to(log):
        try:
            record = carry_out(job, store, registry, teller, **place.how)
            what = FINISHED if record.status == "finished" else PAUSED
            best = {task: score.metrics for task, score in record.scores.items()}
            text = "" if job.plan.select == "heldout" else written(best)  # validation is not for whoever chooses
            ended = Event(job.key, what, record.id, text=text)
        except Taken:
            ended = Event(job.key, TAKEN)
        except Stopped as stop:
            ended = Event(job.key, STOPPED, teller.run, text=str(stop))
        except Exception as error:
            traceback.print_exc()
            told = str(error) if isinstance(error, GlueError) else own_failure(error)
            if not told:  # a bug of ours
                kept = f"; the traceback is in {place.results / teller.run / LOG}" if teller.run else ""
                told = f"{type(error).__name__}: {error}{kept}"
            ended = Event(job.key, FAILED, teller.run, text=told)
    log.unlink(missing_ok=True)  # it belongs to a run by now, or to none
    return ended


@contextlib.contextmanager
def written_to(log: Path) -> Iterator[None]:
    """What this process prints, and whatever it calls, goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    before = os.dup(1), os.dup(2)
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in zip((1, 2), before, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def serve(connection: Connection) -> None:
    """Until the launcher hangs up. If that dies, the run at work is asked to save, as by a signal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal: the launcher says who is to stop

    def tell(event: Event) -> None:
        try:
            connection.send(event)
        except OSError:
            os.kill(os.getpid(), signal.SIGTERM)

    place = connection.recv()
    registry = load_tasks(place.task_folders)
    with contextlib.suppress(EOFError, ConnectionResetError):
        while job := connection.recv():
            ended = attempt(job, place, registry, tell)
            tell(ended)
            if ended.what == STOPPED:
                return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
