"""The plan that keeps a finished run's weights in fewer bits and scores them: a run like any other."""

from __future__ import annotations

from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan, default_of, plan_from
from glue_harness.core.record import Record
from glue_harness.lab.request import Request
from glue_harness.metrics.selection import answering_step
from glue_harness.runs.store import Store, refuse_scored
from glue_harness.suite.registry import Registry

BF16 = "bf16"
# What a model that only answers cannot have. All else stays as it was: the rows of a board are named by what differs.
RESET: dict[str, Any] = {
    **dict.fromkeys(("tokenizer", "micro_batch", "eval_limit", "patience")),
    "method": "full",
    "steps": 0,
    "layer_decay": 1.0,
    "compile": "auto",
    "bf16_weights": "off",
    "cuda_graphs": "off",
    "shard": "off",
}


def compressed_plan(record: Record, weights: str, task: str | None, store: Store, registry: Registry) -> Plan:
    """Of the base's best step. Repeats of one plan become repeats of one plan: the base is named by its plan's digest,
    unless a later run of that plan and seed would be meant by it.
    """
    refuse_scored(record, "there are no weights to compress")
    if record.plan.get("weights", default_of("weights")) != default_of("weights"):
        raise UsageError(
            f"run {record.id} is compressed already: compress {record.plan['model']}, which it was made of"
        )
    if record.status != "finished":
        raise UsageError(f"run {record.id} is {record.status}, not finished: glue run --resume {record.id}")
    base = plan_from(record.plan)
    tasks = (registry.task(task).name,) if task else base.tasks
    steps = {name: score.step for name, score in record.scores.items()}
    if task:
        step = answering_step(registry, record.scores, registry.task(task))
        steps = {tasks[0]: step} if step is not None else {}
    if not steps:
        learned = ", ".join(record.scores) or "nothing"
        raise UsageError(f"run {record.id} has no score of {task or 'any task'}: it scored {learned}")
    if len(set(steps.values())) > 1:
        each = ", ".join(f"{name} at step {step:,}" for name, step in steps.items())
        raise UsageError(f"run {record.id} has a best step for each task ({each}): name one with --task")
    latest = store.finished(record.digest, base.seed)
    source = f"plan:{record.digest}" if latest and latest.id == record.id else f"run:{record.id}"
    narrowed = {"tasks": tasks, "mixing": "proportional", "temperature": 1.0, "rates": {}} if task else {}
    return base.replace(
        **RESET,
        **narrowed,
        model=f"{source}@{next(iter(steps))}",
        weights=weights,
        precision=BF16 if weights == BF16 else record.environment.get("precision", base.precision),
        device="auto" if weights == BF16 else "cpu",
    )


def luck_of(record: Record, request: Request) -> tuple[str, ...]:
    """What the compressed run's own record cannot know: nothing was chosen there, but its base was."""
    tried = {step for task in request.scored for step, _ in record.history.get(task.name, ())}
    if len(tried) < 2 or request.plan.select == "heldout":
        return ()
    return (f"the step of its base was chosen among {len(tried)} by scores on these rows: these are as optimistic",)
