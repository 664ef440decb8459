"""Results as tidy frames of pandas: one observation a row, the same column names in all of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from glue_harness.core.errors import GlueError
from glue_harness.core.plan import GENERAL, default_of
from glue_harness.core.record import Record
from glue_harness.core.task import Task
from glue_harness.metrics.losses import judge
from glue_harness.runs.index import plan_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

if TYPE_CHECKING:
    from pandas import DataFrame

LOSS = "loss"  # in the place of a metric, in the history
RUN = ("run", "digest", "seed", "model", "method")  # the columns that all frames begin with
RUNS = (*RUN, "tasks", "status", "started", "seconds", "tags", "note", "stage", "parameters", "trainable", "ran_on")
OF_SCORE = ("score", "low", "high", "without_luck", "baseline", "ceiling", "examples", "invalid", "step", "split")
SCORES = (*RUN, "task", "metric", *OF_SCORE)
HISTORY = (*RUN, "step", "task", "metric", "score")
PREDICTIONS = (*RUN, "task", "example", "target", "prediction", "is_valid", "is_right", "share", LOSS)


class Results(Sequence[Record]):
    """The records of a folder of runs, oldest first, and frames that are made when they are first asked for."""

    def __init__(
        self, records: Sequence[Record], broken: Sequence[tuple[Path, str]], store: Store, registry: Registry
    ) -> None:
        self.records, self.broken = tuple(records), tuple(broken)  # broken: files that are no record, and why
        self.store, self.registry = store, registry

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Results: ...
    def __getitem__(self, place: int | slice) -> Record | Results:
        """A part of them has frames of its own."""
        if isinstance(place, slice):
            return Results(self.records[place], (), self.store, self.registry)
        return self.records[place]

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def runs(self) -> DataFrame:
        """A row a run: how it went, and every setting of its plan that is a number or a text."""
        rows = []
        for record in self.records:
            plan = plan_of(record)
            settings = {name: getattr(plan, name) for name in (*GENERAL, *plan.own) if plan.says(name)}
            settings = {name: value for name, value in settings.items() if isinstance(value, str | int | float)}
            facts = {
                "tasks": ",".join(plan.tasks),
                "status": record.status,
                "started": record.started,
                "seconds": record.seconds,
                "tags": ",".join(record.tags),
                "note": record.note,
                "stage": record.stage,
                "parameters": record.parameters.get("total"),
                "trainable": record.parameters.get("trainable"),
                "ran_on": record.environment.get("device"),
            }
            rows.append({**settings, **_named(record), **facts})
        frame = _frame(rows, RUNS)
        import pandas

        frame["started"] = pandas.to_datetime(frame["started"], utc=True, errors="coerce", format="ISO8601")
        return frame

    @cached_property
    def scores(self) -> DataFrame:
        """A row a value of a task, at the step that was chosen."""
        rows = []
        for record in self.records:
            for task, score in record.scores.items():
                for key, value in score.metrics.items():
                    low, high = score.intervals.get(key) or (None, None)
                    beside = {name: getattr(score, name).get(key) for name in ("without_luck", "baseline", "ceiling")}
                    counts = {"examples": score.n, "invalid": score.invalid, "step": score.step, "split": score.split}
                    facts = {"task": task, "metric": key, "score": value, "low": low, "high": high}
                    rows.append({**_named(record), **facts, **beside, **counts})
        return _frame(rows, SCORES)

    @cached_property
    def history(self) -> DataFrame:
        """A row a value at every evaluation, and the loss of each task at every logged update (metric: loss)."""
        rows = []
        for record in self.records:
            named = _named(record)
            for task, points in record.history.items():
                rows += [
                    {**named, "step": step, "task": task, "metric": key, "score": value}
                    for step, values in points
                    for key, value in values.items()
                ]
            for entry in self.store.read_train(record.id):
                losses = entry.get("task_losses")
                for task, loss in losses.items() if isinstance(losses, dict) else ():
                    rows.append({**named, "step": entry["step"], "task": task, "metric": LOSS, "score": loss})
        return _frame(rows, HISTORY)

    @cached_property
    def predictions(self) -> DataFrame:
        """A row an answer that was scored. Runs whose answers cannot be read are left out, with a warning."""
        rows = []
        for record in self.records:
            for name in record.scores:
                try:
                    rows += list(self._answers(record, self.registry.task(name)))
                except GlueError as error:
                    warnings.warn(f"answers of {record.id} to {name} are left out: {error}", stacklevel=3)
        return _frame(rows, PREDICTIONS)

    def _answers(self, record: Record, task: Task) -> Iterator[dict[str, Any]]:
        named = _named(record)
        for found in judge(task, self.store.read_predictions(record.id, task)):
            prediction = found.prediction
            yield {
                **named,
                "task": task.name,
                "example": prediction.example.id,
                "target": prediction.example.target,
                "prediction": prediction.text,
                "is_valid": prediction.label is not None,
                "is_right": found.is_right,
                "share": prediction.scores.get(prediction.text),
                LOSS: found.loss,
            }

    def _repr_html_(self) -> str:
        return str(self.runs[[*RUNS]].to_html(escape=True, index=False))


def _named(record: Record) -> dict[str, Any]:
    plan = record.plan
    named = {name: plan.get(name, default_of(name)) for name in ("seed", "model", "method")}
    return {"run": record.id, "digest": record.digest, **named}


def _frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> DataFrame:
    """The declared columns first, also where there is no row."""
    from pandas import DataFrame

    more = dict.fromkeys(name for row in rows for name in row if name not in columns)
    return DataFrame(list(rows), columns=[*columns, *more])
