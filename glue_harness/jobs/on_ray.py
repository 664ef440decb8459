"""Jobs on a Ray cluster, each a task with what it needs declared. Ray places them, and does again what a node lost."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.jobs.executors import FINISHED, LOST, STOPPED, TAKEN, Event, Workplace
from glue_harness.jobs.graph import Job, Key
from glue_harness.jobs.launch import RETRIES
from glue_harness.jobs.needs import needs_of
from glue_harness.jobs.post import Post, fetch, send
from glue_harness.jobs.trials import CLAIMS

NEEDS = {"cpus": 1.0, "gpus": 0.0, "memory": 0.0}  # of a job; memory in GiB


class OnRay:
    def __init__(self, place: Workplace, on: str) -> None:
        where, needs = needs_of(on, NEEDS)
        address = where.partition(":")[2]
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError:
            raise UsageError("--on ray needs Ray: pip install 'glue-harness[ray]'") from None
        self.ray, self.place = ray, place
        self.began_ray = not ray.is_initialized()
        if self.began_ray:
            try:
                ray.init(address or None, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise GlueError(f"no Ray cluster at {address or 'this machine'}: {reason}") from None
        if "gpus=" not in on and self._has("GPU"):
            needs["gpus"] = 1.0
        self.needs = needs
        for what, kind in (("cpus", "CPU"), ("gpus", "GPU")):
            if self.needs[what] > (has := self._has(kind)):
                self.close()
                raise UsageError(f"--on {on}: a job wants {self.needs[what]:g} {what}, the cluster has {has:g}")
        self.probe = place.results / CLAIMS / f"probe-{secrets.token_hex(8)}"
        self.probe.parent.mkdir(parents=True, exist_ok=True)
        self.probe.touch()
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self.mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote(place.results)
        options: dict[str, Any] = {"num_cpus": self.needs["cpus"], "num_gpus": self.needs["gpus"]}
        if self.needs["memory"]:
            options["memory"] = int(self.needs["memory"] * 2**30)
        self.task = ray.remote(carry_out_there).options(max_retries=RETRIES, **options)
        self.at_work: dict[Any, Key] = {}

    @property
    def slots(self) -> int:
        """As many jobs as the cluster has room for now: nodes may come and go."""
        room = [self._has("CPU") / self.needs["cpus"]] if self.needs["cpus"] else []
        room += [self._has("GPU") / self.needs["gpus"]] if self.needs["gpus"] else []
        return max(1, int(min(room, default=1)))

    def start(self, job: Job) -> None:
        self.at_work[self.task.remote(job, self.place, self.probe, self.mailbox)] = job.key

    def events(self, seconds: float) -> list[Event]:
        done, _ = self.ray.wait(list(self.at_work), timeout=seconds, num_returns=1)
        happened = self.ray.get(self.mailbox.take.remote())
        return happened + [self._ended(task) for task in done]

    def stop(self) -> None:
        for task in self.at_work:
            self.ray.cancel(task, force=False)  # comes as Ctrl-C: it saves

    def close(self) -> None:
        self.probe.unlink(missing_ok=True) if hasattr(self, "probe") else None
        if self.began_ray:
            self.ray.shutdown()

    def _ended(self, task: Any) -> Event:
        key = self.at_work.pop(task)
        errors = self.ray.exceptions
        try:
            return self.ray.get(task)
        except errors.TaskCancelledError:
            return Event(key, STOPPED)
        except errors.RayError as error:
            return Event(key, LOST, text=str(error).splitlines()[0])

    def _has(self, kind: str) -> float:
        return self.ray.cluster_resources().get(kind, 0.0)


class Mailbox(Post):
    """An actor on the launcher's machine: takes what workers tell and send, and has what they need."""

    def __init__(self, results: Path) -> None:
        super().__init__(results)
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        self.events.append(event)

    def take(self) -> list[Event]:
        happened, self.events = self.events, []
        return happened

    def call(self, name: str, *arguments: Any) -> Any:
        return getattr(self, name)(*arguments)


def carry_out_there(job: Job, place: Workplace, probe: Path, mailbox: Any) -> Event:
    """The task. In the launcher's folder if it can be seen from here, else in one that is sent back."""
    import ray

    from glue_harness.suite.registry import load_tasks

    def call(name: str, *arguments: Any) -> Any:
        return ray.get(mailbox.call.remote(name, *arguments))

    registry = load_tasks(place.task_folders)
    tell = partial(call, "put")
    if probe.exists():
        from glue_harness.jobs.worker import attempt

        return attempt(job, place, registry, tell)
    with tempfile.TemporaryDirectory(prefix="glue-") as folder:
        return apart(job, place, Path(folder), registry, tell, call)


def apart(
    job: Job, place: Workplace, folder: Path, registry: Any, tell: Callable[[Event], None], call: Callable[..., Any]
) -> Event:
    """A job in a folder of its own, whose finished run is sent to the launcher. What is unfinished stays here."""
    from dataclasses import replace

    from glue_harness.jobs.worker import attempt

    if not call("claim", job.key):
        return Event(job.key, TAKEN)
    try:
        if found := call("finished", job.key):
            return Event(job.key, FINISHED, found)
        for run in call("needed", job):
            fetch(run, folder / run, call)
        ended = attempt(job, replace(place, results=folder), registry, tell)
        if ended.what == FINISHED:
            send(ended.run, folder / ended.run, call)
        return ended._replace(where="its folder was sent back")
    finally:
        call("release", job.key)
