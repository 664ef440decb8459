"""Which model a plan's teacher is: a run's, at one of its steps, or a folder's. Found without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import EARLIER, Plan, plan_from
from glue_harness.core.record import Record
from glue_harness.core.sealed import MARKER
from glue_harness.core.task import Task
from glue_harness.metrics.selection import answering_step
from glue_harness.models.families import is_from_scratch, looks_like_hub_id, model_folder
from glue_harness.runs.origin import Origin, origin_of, run_of, whole_weights
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

READ = (".safetensors", ".json", ".model", ".txt")  # files that decide what a model answers


class Teacher(NamedTuple):
    """A model that has learned already, under the name that the plan keeps of it."""

    origin: Origin
    plan: Plan | None = None  # of its run: how it read and answered there
    precision: str = ""  # in which it was scored there
    tasks: tuple[str, ...] = ()  # that it has learned or answered there

    @property
    def name(self) -> str:
        return self.origin.model

    @property
    def fingerprint(self) -> str:
        """Of its weights and its vocabulary, wherever they lie."""
        origin, found = self.origin, hashlib.sha256()
        folders = [part.folder for part in origin.parts]
        if is_from_scratch(origin.source):  # drawn by its run's seed
            found.update(f"{origin.source} {origin.parts[0].plan.seed}\n".encode())
        else:
            folders.insert(0, model_folder(origin.source))
        for folder in folders:
            for file in sorted(folder.iterdir()):
                if file.suffix in READ and file.name != MARKER:
                    with open(file, "rb") as opened:
                        digest = hashlib.file_digest(opened, "sha256").hexdigest()
                    found.update(f"{file.name} {digest}\n".encode())
        return found.hexdigest()[:16]

    def to_record(self) -> dict[str, Any]:
        return {**self.origin.to_record(), "fingerprint": self.fingerprint}


def find_teacher(plan: Plan, trained: Sequence[Task], store: Store, registry: Registry) -> Teacher | None:
    """The plan's, if it has one. A run that is named alone answers as it does elsewhere: at the step that was best for
    the one task that is trained; of several tasks, at its last.
    """
    if plan.teacher is None:
        if said := [name for name in ("alpha", "temperature_of_teacher") if name in plan.own]:
            raise UsageError(
                f"{said[0]} is {plan.own[said[0]]:g} but nobody teaches: add --teacher RUN, or leave it out"
            )
        return None
    named = model_name(plan.teacher)
    if not named.startswith(EARLIER):
        if not Path(named).is_dir() and not looks_like_hub_id(named):
            raise UsageError(f"teacher {named!r} is neither a run, nor a folder here, nor a model of the Hub")
        whole_weights(named, "teacher")
        return Teacher(Origin(named, named))
    try:
        record = run_of(named, "teacher", plan.seed, store)
    except UsageError as error:
        raise UsageError(f"teacher {plan.teacher!r}: {error}") from None
    tasks = tuple({**record.mix, **record.scores})
    for task in trained:
        if not task.noise:  # of text alone nothing is answered
            check_learned(record, task, registry, plan.teacher)
    at = ""
    if "@" not in named and len(trained) == 1 and answering_step(registry, record.scores, trained[0]) is not None:
        at = f"@{trained[0].name}"
    origin = origin_of(f"{named}{at}", "teacher", plan.seed, store, registry)
    origin = origin._replace(model=origin.model.removesuffix(at))  # a plan that names it so keeps its digest
    return Teacher(origin, plan_from(record.plan), record.environment.get("precision", "auto"), tasks)  # type: ignore[arg-type]


def model_name(teacher: str) -> str:
    """As `--model` would name it: a folder and what can only be the Hub's as they are, all else a run."""
    is_model = (Path(teacher) / "config.json").exists() or ("/" in teacher and not Path(teacher).is_dir())
    return teacher if is_model or teacher.startswith(EARLIER) else f"run:{teacher}"


def as_start(teacher: str, tasks: Sequence[str], registry: Registry) -> str:
    """The same weights as `--model` would name them, for a student that begins as its teacher."""
    named = model_name(teacher)
    is_one = len(tasks) == 1 and registry.aliases.get(tasks[0], tasks[0]) in registry.tasks
    at = f"@{tasks[0]}" if is_one and named.startswith(EARLIER) and "@" not in named else ""
    return f"{named}{at}"


def check_learned(record: Record, task: Task, registry: Registry, named: str) -> None:
    """A run that never saw a task answers it by chance."""
    if task.name not in record.mix and answering_step(registry, record.scores, task) is None:
        has = ", ".join(record.mix) or "nothing"
        raise UsageError(f"teacher {named!r} has learned {has}, not {task.name}: name a run of {task.name}")
