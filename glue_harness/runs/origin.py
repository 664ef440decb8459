"""A model that an earlier run made: which run a name means, and where its weights lie.

`run:RUN` names the run; `plan:DIGEST` the finished run of that plan with the same seed, so that a plan which builds on
another is the same for every seed and on every machine. `@TASK` asks for the step that was best for a task instead of
the last one.

A run that trained only a part of its model kept only that part. The rest is what it started from: whole weights, or
an earlier run, which may have kept a part in turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.core.plan import EARLIER, Plan, plan_from
from glue_harness.core.record import Record
from glue_harness.metrics.selection import answering_step
from glue_harness.runs.store import Store, refuse_scored
from glue_harness.suite.registry import Registry

PART = "trained.safetensors"  # instead of all weights, where a method trained only some


class TrainedPart(NamedTuple):
    """What a run kept of a model of which it trained only a part."""

    plan: Plan  # the run's: its method says where the part belongs
    folder: Path


class Origin(NamedTuple):
    """What a plan's model is loaded from, under the name that the plan keeps."""

    model: str  # run:ID, plan:DIGEST, or what the plan said
    source: str  # a folder of weights, or what else a model can be loaded from
    run: str | None = None
    step: int | None = None
    parts: tuple[TrainedPart, ...] = ()  # what runs trained of the source since then, the first one first

    def to_record(self) -> dict[str, str | int | None]:
        """The earlier run, for the record: a plan alone does not always tell it."""
        return {"run": self.run, "step": self.step} if self.run else {}


def find_origin(plan: Plan, store: Store, registry: Registry) -> Origin:
    """What the plan's model is loaded from, found before anything heavy is imported."""
    if not plan.model.startswith(EARLIER):
        whole_weights(plan.model, "model")
        return Origin(plan.model, plan.model)
    return origin_of(plan.model, "model", plan.seed, store, registry)


def whole_weights(folder: str, role: str) -> None:
    if (Path(folder) / PART).exists():
        run_id = Path(folder).resolve().parent.parent.name
        fix = f"name its run, --{role} run:{run_id}"
        raise UsageError(f"{role} {folder!r} holds only what was trained of another model: {fix}")


def origin_of(named: str, role: str, seed: int, store: Store, registry: Registry) -> Origin:
    """Where the weights of an earlier run lie that a plan names; `role` is what it is to the plan, for messages."""
    name, at, task = named.partition("@")
    record = run_of(named, role, seed, store)
    refuse_scored(record, f"{role} {named!r} cannot {'start from' if role == 'model' else 'be'} it")
    step = _step_of(record, task if at else None, registry)
    kept = name if name.startswith("plan:") else f"run:{record.id}"  # a part of an id, and latest, change their meaning
    try:
        return weights_at(record, step, store)._replace(model=f"{kept}{at}{task}")
    except GlueError as error:
        raise type(error)(f"{role} {named!r}: {error}") from None


def weights_at(record: Record, step: int, store: Store) -> Origin:
    """Where the weights of a run at a step lie, with all the runs whose parts they are made of."""
    parts: list[TrainedPart] = []
    run_id, at = record.id, step
    while True:
        run = store.run(record.id)
        if not run.has_checkpoint(at):
            raise GlueError(f"run {record.id} has no checkpoint of step {at} any more: repeat it with glue run")
        folder = run.checkpoint(at)
        if not (folder / PART).exists():
            return Origin(f"run:{run_id}", str(folder), run_id, step, tuple(parts))
        plan = plan_from(record.plan)
        parts.insert(0, TrainedPart(plan, folder))
        earlier = record.environment.get("model", {})
        if "run" not in earlier:
            return Origin(f"run:{run_id}", plan.model, run_id, step, tuple(parts))
        record, at = _earlier(record, earlier, [part.folder for part in parts], store)


def _earlier(record: Record, named: dict[str, object], before: list[Path], store: Store) -> tuple[Record, int]:
    """The run that a run started from, which has the rest of its model."""
    run_id, step = named["run"], named.get("step")
    if not isinstance(run_id, str) or type(step) is not int or step < 0:
        raise DataError(f"the record of run {record.id} does not say which run it started from")
    if not (store.run_folder(run_id)).is_dir():
        raise GlueError(
            f"run {record.id} kept only what its method trained ({plan_from(record.plan).method}) of run {run_id}, "
            f"which is no longer in {str(store.folder)!r}: put it back"
        )
    if store.run(run_id).checkpoint(step) in before:
        raise DataError(f"the record of run {record.id} says that it started from itself")
    return store.find(run_id), step


def run_of(named: str, role: str, seed: int, store: Store) -> Record:
    """The run that `run:RUN` or `plan:DIGEST` means, whatever step of it."""
    kind, _, wanted = named.partition("@")[0].partition(":")
    if kind == "run":
        return store.find(wanted)
    record = store.finished(wanted, seed)
    if record is None:
        raise UsageError(
            f"{role} {named!r}: no finished run of plan {wanted} with seed {seed} in {str(store.folder)!r}: "
            "make it first, or name a folder with --results"
        )
    return record


def _step_of(record: Record, task: str | None, registry: Registry) -> int:
    """The last step of a finished run, or the one that was best for a task."""
    if task is None and record.status != "finished":
        raise UsageError(
            f"run {record.id} is {record.status}, not finished: name the task whose best step to start from, "
            f"run:{record.id}@TASK"
        )
    step = record.last_step if task is None else answering_step(registry, record.scores, registry.task(task))
    if step is None:
        raise UsageError(f"run {record.id} has no score of {task!r}: it has {', '.join(record.scores) or 'none'}")
    return step
