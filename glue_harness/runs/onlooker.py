"""A run's folder as its other processes see it: they read what the first one writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.core.task import Prediction
from glue_harness.runs.folder import RunFolder


class Onlooker(RunFolder):
    """Has every way to write that the folder has, and none of them does anything."""

    @contextlib.contextmanager
    def claim(self, lock: int = 0) -> Iterator[None]:
        yield

    def save(self, record: Record) -> None: ...
    def save_plan(self, plan: Plan) -> None: ...
    def write_predictions(
        self, task_name: str, predictions: Iterable[Prediction], shared: Collection[str] = ()
    ) -> None: ...
    def append_train(self, entry: Mapping[str, Any]) -> None: ...
    def save_checkpoint(self, step: int, write: Callable[[Path], None]) -> None: ...
    def save_snapshot(self, step: int, facts: Mapping[str, Any], write: Callable[[Path], None]) -> None: ...
    def roll_back(self, step: int) -> None: ...
    def keep_weights(self, wanted: Collection[int]) -> None: ...
    def prune(self, wanted: Collection[int]) -> None: ...
    def tidy(self, wanted: Collection[int]) -> None: ...
