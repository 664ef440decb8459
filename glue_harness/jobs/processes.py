"""Jobs by worker processes of this machine. Each worker has its share of the threads, or a GPU of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection, wait

from glue_harness.jobs.executors import ENDS, LOST, STOPPED, Event, Workplace
from glue_harness.jobs.graph import Job

PATIENCE = 5  # seconds that a worker has to end once nothing more is wanted of it


class Worker:
    """One process and the connection to it."""

    def __init__(self, place: Workplace, environment: dict[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "glue_harness.jobs.worker", str(theirs.fileno())],
            env={**os.environ, **environment},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for the launcher
        )
        theirs.close()
        self.connection = Connection(ours.detach())
        self.connection.send(place)
        self.job: Job | None = None

    def close(self) -> None:
        self.connection.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Processes:
    def __init__(self, place: Workplace, slots: int) -> None:
        self.place, self.slots = place, slots
        self.workers: dict[int, Worker] = {}  # by slot, begun when there is a job for it

    def start(self, job: Job) -> None:
        slot = next(n for n in range(self.slots) if n not in self.workers or self.workers[n].job is None)
        if slot not in self.workers:
            self.workers[slot] = Worker(self.place, environment_of(slot, self.slots))
        worker = self.workers[slot]
        worker.job = job
        with contextlib.suppress(OSError):  # it has died: its end is an event
            worker.connection.send(job)

    def events(self, seconds: float) -> list[Event]:
        by_connection = {worker.connection: slot for slot, worker in self.workers.items() if worker.job}
        happened = []
        for connection in wait(list(by_connection), seconds):
            slot = by_connection[connection]  # type: ignore[index]
            worker = self.workers[slot]
            try:
                event = worker.connection.recv()
            except (EOFError, OSError):
                happened.append(self._lost(slot))
                continue
            happened.append(event)
            if event.what in ENDS:
                worker.job = None
            if event.what == STOPPED:  # and the worker with it
                self.workers.pop(slot).close()
        return happened

    def _lost(self, slot: int) -> Event:
        worker = self.workers.pop(slot)
        worker.close()
        assert worker.job, "only workers with a job are listened to"
        code = worker.process.returncode
        why = f"killed by signal {-code}" if code < 0 else f"it ended with {code}"
        return Event(worker.job.key, LOST, text=why)

    def stop(self) -> None:
        for worker in self.workers.values():
            if worker.job:
                worker.process.terminate()

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()


def environment_of(slot: int, slots: int) -> dict[str, str]:
    """What tells a worker its share of the machine."""
    import torch

    if devices := torch.cuda.device_count():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(devices)))).split(",")
        return {"CUDA_VISIBLE_DEVICES": visible[slot % devices]}
    given = os.environ.get("OMP_NUM_THREADS")
    return {"OMP_NUM_THREADS": given or str(max(1, torch.get_num_threads() // slots))}
