"""Tells trackers of a run that goes by. One that fails is told of once and left: it never fails the run."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glue_harness.core.record import Record
from glue_harness.lab.assemble import Setup
from glue_harness.lab.attempt import Watcher
from glue_harness.report.console import note, one_line
from glue_harness.track import Told, Tracker, begin
from glue_harness.train.loop import State


class Tracking:
    """A watcher that stands before another one, if there is one."""

    def __init__(self, names: Sequence[str], watcher: Watcher | None) -> None:
        self.names = names
        self.watcher = watcher
        self.trackers: dict[str, Tracker] = {}
        self.record: Record | None = None

    def assembled(self, setup: Setup, record: Record, folder: Path) -> None:
        self.record = record
        step = record.resumed[-1] if record.resumed else 0
        told = Told(record.id, folder, record.plan, tuple(record.tags), record.note, step)
        for name in self.names:
            with self.spared(name):
                self.trackers[name] = begin(name, told)
        if self.watcher:
            self.watcher.assembled(setup, record, folder)

    def stepped(self, setup: Setup, state: State) -> None:
        if self.watcher:
            self.watcher.stepped(setup, state)

    def answered(self, done: int, asked: int) -> None:
        if told := getattr(self.watcher, "answered", None):
            told(done, asked)

    def asked_teacher(self, task: str, examples: int) -> None:
        if told := getattr(self.watcher, "asked_teacher", None):
            told(task, examples)

    def stopping(self, text: str) -> None:
        if told := getattr(self.watcher, "stopping", None):
            told(text)

    def logged(self, facts: Mapping[str, Any]) -> None:
        """A line of the training log."""
        values = {f"train/{name}": facts[name] for name in ("loss", "lr", "gradient_norm", "examples", "tokens")}
        values |= {f"train/loss/{task}": loss for task, loss in facts["task_losses"].items()}
        self._log(facts["step"], values)

    def scored(self, step: int, values: dict[str, dict[str, float | None]]) -> None:
        self._log(step, {f"{task}/{key}": value for task, of in values.items() for key, value in of.items()})
        if self.watcher:
            self.watcher.scored(step, values)

    def ended(self, record: Record) -> None:
        """The final scores of the chosen steps, and how it ended."""
        finals = {f"{task}/best/{key}": v for task, score in record.scores.items() for key, v in score.metrics.items()}
        if record.status == "finished":
            self._log(record.last_step, finals)
        self._each(lambda tracker: tracker.end(record.status))

    def _log(self, step: int, values: Mapping[str, float | None]) -> None:
        """What is no finite number is left out: not every tracker knows such."""
        finite = {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
        if finite:
            self._each(lambda tracker: tracker.log(step, finite))

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.trackers.items()):
            with self.spared(name):
                tell(tracker)

    @contextlib.contextmanager
    def spared(self, name: str) -> Any:
        """Whatever a tracker prints goes to stderr: stdout may be read by a program."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except (Exception, SystemExit) as error:
            self.trackers.pop(name, None)
            text = f"tracker {name} failed and is told no more: {type(error).__name__}: {one_line(str(error))[:200]}"
            note(text, style="yellow")
            if self.record and text not in self.record.notes:
                self.record.notes.append(text)
