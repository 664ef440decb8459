"""A model that an earlier run made: which run a name means, and where its weights lie.

`run:RUN` names the run; `plan:DIGEST` the finished run of that plan with the same seed, so that a plan which builds on
another is the same for every seed and on every machine. `@TASK` asks for the step that was best for a task instead of
the last one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.plan import EARLIER, Plan, plan_from
from glue_harness.core.record import Record
from glue_harness.metrics.selection import answering_step
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.store import Store, refuse_scored
from glue_harness.suite.registry import Registry

PART = "trained.safetensors"  # instead of all weights, where a method trained only some


class Origin(NamedTuple):
    """What a plan's model is loaded from, under the name that the plan keeps."""

    model: str  # run:ID, plan:DIGEST, or what the plan said
    source: str  # a folder of weights, or what else a model can be loaded from
    run: str | None = None
    step: int | None = None

    def to_record(self) -> dict[str, str | int | None]:
        """The earlier run, for the record: a plan alone does not always tell it."""
        return {"run": self.run, "step": self.step} if self.run else {}


def find_origin(plan: Plan, store: Store, registry: Registry) -> Origin:
    """What the plan's model is loaded from, found before anything heavy is imported."""
    if not plan.model.startswith(EARLIER):
        return Origin(plan.model, plan.model)
    name, at, task = plan.model.partition("@")
    record = _run_of(plan, name, store)
    refuse_scored(record, f"model {plan.model!r} cannot start from it")
    step = _step_of(record, task if at else None, registry)
    run = store.run(record.id)
    if not run.has_checkpoint(step):
        raise GlueError(f"model {plan.model!r}: run {record.id} has no checkpoint of step {step} any more: repeat it")
    if (run.checkpoint(step) / PART).exists():
        raise UsageError(
            f"model {plan.model!r}: run {record.id} kept only what its method trained "
            f"({plan_from(record.plan).method}): start from a run that trained all of its model"
        )
    kept = name if name.startswith("plan:") else f"run:{record.id}"  # a part of an id, and latest, change their meaning
    return Origin(f"{kept}{at}{task}", str(run.checkpoint(step)), record.id, step)


def recorded_source(record: Record, results: Path) -> str:
    """What a run's model was loaded from, where the runs now are."""
    earlier = record.environment.get("model", {})
    if "run" not in earlier:
        return plan_from(record.plan).model
    return str(RunFolder(results / earlier["run"]).checkpoint(earlier["step"]))


def _run_of(plan: Plan, name: str, store: Store) -> Record:
    kind, _, wanted = name.partition(":")
    if kind == "run":
        return store.find(wanted)
    record = store.finished(wanted, plan.seed)
    if record is None:
        raise UsageError(
            f"model {plan.model!r}: no finished run of plan {wanted} with seed {plan.seed} in {str(store.folder)!r}: "
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
