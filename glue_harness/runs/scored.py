"""Another system's answers as a run: scored here, trained nowhere. Boards and comparisons take it beside the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import SCORED, Plan
from glue_harness.core.record import Environment, Record, Score
from glue_harness.core.task import Prediction, Task
from glue_harness.data import Rows
from glue_harness.metrics.baselines import yardsticks
from glue_harness.runs.evidence import environment, score, signatures, with_intervals
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

LONGEST_NAME = 128


class Answered(NamedTuple):
    """One task's answers, and the rows that they answer."""

    task: Task
    rows: Rows
    predictions: Sequence[Prediction]

    def score(self) -> Score:
        """As a run's, but no step was chosen."""
        tallies = [metric.tally(self.predictions) for metric in self.task.metrics]
        scored = with_intervals(score(self.task, self.predictions, 0, tallies), tallies)
        return replace(
            scored,
            split=self.rows.split,
            without_luck=scored.metrics,
            **yardsticks(self.task, self.predictions, self.rows.right),
        )


def tasks_to_score(names: Sequence[str], role: str, registry: Registry) -> list[Task]:
    """The tasks that score those named; of a suite, without what cannot be scored."""
    found: dict[str, Task] = {}
    for task in registry.select(names):
        able = [scorer for scorer in registry.scorers(task) if role in scorer.splits and scorer.metrics]
        if not able and not {task.name, *task.aliases}.isdisjoint(names):
            reason = f"it has no {role} split" if task.metrics else "it has no metric"
            raise UsageError(f"task {task.name!r} cannot be scored: {reason}")
        found |= {scorer.name: scorer for scorer in able}
    return list(found.values())


def plan_of_system(name: str, tasks: Sequence[str], data: str, seed: int) -> Plan:
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UsageError(f"--as {name!r}: name the system with at most {LONGEST_NAME} printable characters")
    return Plan(tasks, data=data, model=name, method=SCORED, seed=seed)


def keep(
    store: Store, plan: Plan, answered: Sequence[Answered], scores: Mapping[str, Score], files: Mapping[str, Any]
) -> tuple[Record, bool]:
    """The run that holds these answers, and whether it was made now or was there already."""
    facts = environment() | {"metrics": signatures([one.task for one in answered]), "answers": dict(files)}
    record = Record(
        id=store.new_id(plan),
        plan=plan.to_dict(),
        digest=plan.digest,
        started=datetime.now(UTC).isoformat(timespec="microseconds"),
        scores=dict(scores),
        data={one.task.name: {"validation": cast(Any, one.rows.to_record())} for one in answered},
        environment=cast(Environment, facts),
        notes=[f"scored, not trained: the answers of {plan.model}"],
    )
    for earlier in store.summaries()[0]:
        if is_same_experiment(earlier, record):
            if all(holds(store, earlier, one) for one in answered):
                return earlier, False
            raise UsageError(
                f"run {earlier.id} has other answers of {plan.model!r} to the same rows: "
                "give these another name, or --seed if they are of another seed, or remove that run"
            )
    store.create(record)
    try:
        for one in answered:
            store.run(record.id).write_predictions(one.task.name, one.predictions)
        record.status = "finished"
        store.save(record)
    except BaseException:
        store.discard(record.id)
        raise
    return record, True


def is_same_experiment(record: Record, other: Record) -> bool:
    """Whether a finished run and another are of one system, with one seed, on the same rows in whatever folder."""

    def named(record: Record) -> tuple[Any, ...]:
        contents = {task: roles.get("validation", {}).get("fingerprint") for task, roles in record.data.items()}
        return record.plan.get("method"), record.plan.get("model"), record.plan.get("seed", 0), contents

    return record.status == "finished" and named(record) == named(other)


def holds(store: Store, record: Record, answered: Answered) -> bool:
    """Whether a run has exactly these answers."""
    kept = store.read_predictions(record.id, answered.task)
    return [(p.example.id, p.text) for p in kept] == [(p.example.id, p.text) for p in answered.predictions]
