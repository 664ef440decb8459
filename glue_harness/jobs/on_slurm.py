"""Jobs as SLURM's, one array for all that are ready. What is pre-empted saves, is queued again and goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.jobs.executors import LOST, STOPPED, Event, Workplace
from glue_harness.jobs.graph import Job, Key
from glue_harness.jobs.needs import needs_of
from glue_harness.jobs.trials import CLAIMS
from glue_harness.lab.signals import Stop

NEEDS = {"cpus": 2.0, "gpus": 0.0, "memory": 8.0, "hours": 24.0, "partition": ""}  # of a job; memory in GiB
WHERE = ("slurm", "slurm:local", "slurm:debug")  # the others try it out without SLURM
MOST_QUEUED = 1000  # as many as a cluster usually takes of one user


class OnSlurm:
    slots = MOST_QUEUED

    def __init__(self, place: Workplace, on: str) -> None:
        name, needs = needs_of(on, NEEDS)
        try:
            import submitit
        except ImportError:
            raise UsageError("--on slurm needs submitit: pip install 'glue-harness[slurm]'") from None
        if name not in WHERE:
            raise UsageError(f"unknown place {name!r}: --on takes {', '.join(WHERE)}")
        if name == "slurm" and shutil.which("sbatch") is None:
            raise UsageError("--on slurm: no SLURM here (sbatch is not found): log in where jobs are submitted")
        self.place, self.folder = place, place.results / CLAIMS / "slurm"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.executor = submitit.AutoExecutor(folder=self.folder, cluster=name.partition(":")[2] or "slurm")
        wanted: dict[str, Any] = {"timeout_min": max(1, round(60 * needs["hours"]))}
        if name == "slurm":
            wanted |= {"cpus_per_task": int(needs["cpus"]), "mem_gb": needs["memory"], "slurm_signal_delay_s": 120}
            wanted |= {"slurm_partition": needs["partition"]} if needs["partition"] else {}
        self.executor.update_parameters(name="glue", gpus_per_node=int(needs["gpus"]), **wanted)
        self.ready: list[Job] = []
        self.submitted: dict[Key, Any] = {}
        self.read: dict[Key, int] = {}  # bytes of what each has told

    def start(self, job: Job) -> None:
        self.ready.append(job)  # until all that can begin is known

    def events(self, seconds: float) -> list[Event]:
        if self.ready:
            trials = [Trial(job, self.place, self._told(job.key)) for job in self.ready]
            with self.executor.batch():
                submitted = [self.executor.submit(trial) for trial in trials]
            self.submitted |= {job.key: one for job, one in zip(self.ready, submitted, strict=True)}
            self.ready = []
        time.sleep(seconds)
        happened = []
        for key, submitted in list(self.submitted.items()):
            is_done = submitted.done()
            happened += self._news(key)
            if is_done:
                del self.submitted[key]
                happened.append(_ended(key, submitted))
        return happened

    def stop(self) -> None:
        for submitted in self.submitted.values():
            submitted.cancel()  # comes as a signal: it saves

    def close(self) -> None:
        for key in self.read:
            self._told(key).unlink(missing_ok=True)

    def _told(self, key: Key) -> Path:
        return self.folder / f"{key[0]}-{key[1]}.jsonl"

    def _news(self, key: Key) -> list[Event]:
        """The whole lines that a job has written since the last look."""
        offset = self.read.setdefault(key, 0)
        if not self._told(key).exists():
            return []
        with open(self._told(key), "rb") as file:
            file.seek(offset)
            text, found, _ = file.read().rpartition(b"\n")
        self.read[key] = offset + len(text) + len(found)
        return [Event(key, *json.loads(line)) for line in text.splitlines()]


class Trial:
    """What submitit keeps, calls on a node, and calls again after the scheduler took the node away."""

    def __init__(self, job: Job, place: Workplace, told: Path) -> None:
        self.job, self.place, self.told = job, place, told

    def __call__(self) -> Event:
        from glue_harness.jobs.worker import attempt
        from glue_harness.suite.registry import load_tasks

        with_notice = Notice()
        ended = attempt(self.job, self.place, load_tasks(self.place.task_folders), self.tell)
        if with_notice.received and ended.what == STOPPED:
            with_notice.queue_again()
        return ended

    def checkpoint(self) -> Any:
        """What is queued instead: the same, which finds its run."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)

    def tell(self, event: Event) -> None:
        with open(self.told, "a", encoding="utf-8") as file:
            file.write(json.dumps(event[1:]) + "\n")


class Notice:
    """The scheduler's signal that a node is about to be taken: the run saves first, then the job is queued again."""

    def __init__(self) -> None:
        from submitit.core.job_environment import JobEnvironment

        self.number = JobEnvironment._usr_sig()
        self.received = False
        self.submitits = signal.getsignal(self.number)
        signal.signal(self.number, self.receive)

    def receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        if isinstance(getattr(signal.getsignal(signal.SIGTERM), "__self__", None), Stop):
            os.kill(os.getpid(), signal.SIGTERM)  # a run is at work
        else:
            self.queue_again()

    def queue_again(self) -> None:
        if callable(self.submitits):
            self.submitits(self.number, None)


def _ended(key: Key, submitted: Any) -> Event:
    try:
        return submitted.result()
    except Exception as error:  # of whatever kind: submitit passes on what it finds
        return Event(key, LOST, text=str(error).strip().splitlines()[-1] if str(error).strip() else "no result")
