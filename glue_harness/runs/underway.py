"""How far runs have come that other processes carry out, by their files alone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.reading import json_value
from glue_harness.core.record import Record
from glue_harness.runs.finding import status_of
from glue_harness.runs.folder import RunFolder, open_inside
from glue_harness.runs.store import Store

TAIL = 2**16  # bytes of a log that surely hold its last whole line


class Standing(NamedTuple):
    id: str
    status: str
    step: int
    steps: int
    loss: float | None
    seconds_left: float | None  # None: too early to tell
    scored_at: int | None
    scores: Mapping[str, Mapping[str, float | None]]  # task -> its values at the last evaluation

    @property
    def is_at_work(self) -> bool:
        return self.status == "running"


def standing(store: Store, name: str) -> Standing:
    """Where a run stands. The record knows its evaluations, the log its updates, of which it has every tenth."""
    record = store.find(name)
    run = store.run(record.id)
    logged = last_logged(run)
    latest = {task: points[-1] for task, points in record.history.items() if points}
    scored_at = max((step for step, _ in latest.values()), default=None)
    step = max(int(logged.get("step") or 0), scored_at or 0)
    return Standing(
        record.id,
        status_of(record, store),
        step,
        int(record.plan.get("steps") or 0),
        logged.get("loss"),
        seconds_left(run, record, step) if record.status == "running" else None,
        scored_at,
        {task: values for task, (_, values) in latest.items()},
    )


def seconds_left(run: RunFolder, record: Record, step: int) -> float | None:
    """By the pace since this attempt began to train, evaluations included: it writes its plan at that moment."""
    began_at = record.resumed[-1] if record.resumed else 0
    try:
        began, logged = os.stat(run.plan_file).st_mtime, os.stat(run.log).st_mtime
    except OSError:
        return None
    if step <= began_at or logged <= began:
        return None
    pace = (logged - began) / (step - began_at)
    return max(0.0, pace * (int(record.plan.get("steps") or 0) - step) - (time.time() - logged))


def last_logged(run: RunFolder) -> dict[str, Any]:
    """The last whole line of the log."""
    with contextlib.suppress(OSError), open_inside(run.log, run.path.parent) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        for line in reversed(file.read(TAIL).splitlines()):
            with contextlib.suppress(ValueError):
                entry = json_value(line.decode())
                if isinstance(entry, dict):
                    return entry
    return {}


def at_work(store: Store) -> list[str]:
    """The runs that processes are at work on, oldest first."""
    return [e.id for e in store.by_age() if e.status == "running" and store.run(e.id).is_at_work()]


def standings(store: Store, names: list[str]) -> list[Standing]:
    """A run may be removed while it is looked at."""
    found = []
    for name in names:
        with contextlib.suppress(DataError, UsageError):
            found.append(standing(store, name))
    return found
