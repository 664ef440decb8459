"""One run's folder: the only place that knows its layout, and writes, reads, claims, rolls back and tidies it.

record.json             what was asked, how it ended, and the scores
plan.toml               the plan, for another run
train.jsonl             the training log: a line for an update now and then, and for each evaluation
predictions/TASK.jsonl  the answers that were scored
checkpoints/step-N/     weights, sealed
resume/step-N/          what a run needs beside these weights to go on (a snapshot), sealed
cost.json               what its model costs, if it was measured (runs/costs.py)
lock                    held by the process that carries the run out
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.core.names import SAFE_NAMES, is_safe_name
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.reading import json_value, lines_of, open_file, read_small
from glue_harness.core.record import Record, record_from
from glue_harness.core.sealed import MARKER, damage_of, seal
from glue_harness.core.task import Prediction, Task, Text
from glue_harness.core.writing import DRAFT, cannot_save, json_text, remove, sync, why, write_atomic

RECORD = "record.json"
PROGRESS = "progress.json"  # in a snapshot: how far the run had come, and its record then
PREDICTIONS = "predictions"  # also in a snapshot, as they were then
SNAPSHOTS_KEPT = 2  # the newest one, and the one before it should that be damaged
LARGEST_RECORD = 64 * 2**20  # bytes
LARGEST_LOG = 256 * 2**20


class Taken(GlueError):
    """Another process is at work on the run."""


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def claim(self, lock: int = fcntl.LOCK_EX) -> Iterator[None]:
        """One process at a time carries a run out; the claim ends with the process, however that dies.

        A record lock, not flock: a forked worker that outlives the run must not keep it.
        """
        path = self.path / "lock"
        try:
            file = open(path, "a+b")  # noqa: SIM115
        except OSError as error:
            raise GlueError(f"cannot write {str(path)!r}: {error.strerror}") from None
        with file:
            try:
                fcntl.lockf(file, lock | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise Taken(f"run {self.path.name} is being carried out by another process") from None
            yield  # any other error: a file system without locks

    def is_free(self) -> bool:
        try:
            with self.claim(fcntl.LOCK_SH):  # several may look at once
                return True
        except Taken:
            return False

    def is_at_work(self) -> bool:
        """Whether a process carries it out, by reading alone: for those who only look.

        Never for the run of one's own process: to close any handle of a file gives up all record locks on it.
        """
        try:
            with open(self.path / "lock", "rb") as file:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EACCES, errno.EAGAIN)
        return False

    def save(self, record: Record) -> None:
        write_atomic(self.path / RECORD, json_text(record.to_dict(), indent=1) + "\n")

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.toml"

    def save_plan(self, plan: Plan) -> None:
        write_atomic(self.plan_file, plan.to_toml())

    def _predictions_of(self, task_name: str) -> Path:
        if not is_safe_name(task_name):
            raise UsageError(f"task name {task_name!r} cannot be a file name: {SAFE_NAMES}")
        return self.path / PREDICTIONS / f"{task_name}.jsonl"

    def write_predictions(
        self, task_name: str, predictions: Iterable[Prediction], shared: Collection[str] = ()
    ) -> None:
        """Keeps what is needed to score again: inputs stay with the data.

        `shared` are the ids of examples that share a text with rows trained on.
        """
        lines = []
        for prediction in predictions:
            example = prediction.example
            kept: dict[str, Any] = {"id": example.id, "target": example.target, "prediction": prediction.text}
            kept |= {"info": example.info, "scores": prediction.scores}
            if example.id in shared:
                kept["shared"] = True
            lines.append(json_text(kept) + "\n")
        write_atomic(self._predictions_of(task_name), "".join(lines))

    def read_predictions(self, task: Task) -> list[Prediction]:
        """The predictions as the task's metrics want them, right answers and groups included."""
        return [prediction for prediction, _ in self._kept_predictions(task)]

    def read_shared(self, task: Task) -> set[str]:
        """The ids of the examples that share a text with rows trained on."""
        return {prediction.example.id for prediction, is_shared in self._kept_predictions(task) if is_shared}

    def _kept_predictions(self, task: Task) -> Iterator[tuple[Prediction, bool]]:
        path = self._predictions_of(task.name)
        try:
            with open_inside(path, self.path.parent) as file:
                for number, line in lines_of(file, str(path)):
                    yield _prediction(task, line, f"{path}, line {number} is not a prediction of {task.name}")
        except OSError as error:
            raise DataError(f"{path}: it cannot be read: {why(error)}") from None

    @property
    def log(self) -> Path:
        return self.path / "train.jsonl"

    def append_train(self, entry: Mapping[str, Any]) -> None:
        """One line more in the log, by one write: a killed process leaves no half of it."""
        try:
            with open(self.log, "ab") as file:
                file.write((json_text(entry) + "\n").encode())
        except OSError as error:
            raise cannot_save(self.log, error) from None

    def read_train(self) -> list[dict[str, Any]]:
        """The log's lines of updates, one a step: of repeated steps the last, and none that was cut off."""
        found: dict[int, dict[str, Any]] = {}
        try:
            with open_inside(self.log, self.path.parent) as file:
                for line in read_small(file, LARGEST_LOG).splitlines():
                    with contextlib.suppress(ValueError):
                        entry = json_value(line)
                        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                            found[entry["step"]] = entry
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise DataError(f"{self.log}: it cannot be read: {error}") from None
        return [found[step] for step in sorted(found)]

    def checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:08d}"

    def snapshot(self, step: int) -> Path:
        return self.path / "resume" / f"step-{step:08d}"

    def has_checkpoint(self, step: int) -> bool:
        return (self.checkpoint(step) / MARKER).exists()

    def snapshots(self) -> list[tuple[int, Path]]:
        """The steps that the run may be able to go on from, the newest first."""
        found = (self.path / "resume").glob("step-*")
        return sorted(((int(folder.name.removeprefix("step-")), folder) for folder in found), reverse=True)

    def save_checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        _seal(self.checkpoint(step), write)

    def save_snapshot(self, step: int, facts: Mapping[str, Any], write: Callable[[Path], None]) -> None:
        """Beside the weights of its step, which must be there. `facts` hold the record, and the best steps."""

        sync(self.log)

        def filled(draft: Path) -> None:
            (draft / PROGRESS).write_text(json_text(facts), encoding="utf-8")
            write(draft)
            (draft / PREDICTIONS).mkdir()
            for task in facts["record"]["scores"]:
                shutil.copy(self._predictions_of(task), draft / PREDICTIONS)

        _seal(self.snapshot(step), filled)

    def newest_snapshot(self) -> tuple[Path | None, list[str]]:
        """The newest snapshot that is whole, with all weights it needs, and what is wrong with any newer one."""
        damaged: list[str] = []
        for step, folder in self.snapshots():
            try:
                prove(folder)
                for needed in sorted(steps_needed(step, folder)):
                    prove(self.checkpoint(needed))
                return folder, damaged
            except GlueError as error:
                damaged.append(f"step {step} cannot be resumed from: {error}")
        return None, damaged

    def roll_back(self, step: int) -> None:
        """All as it was at the snapshot of a step, or at the beginning: what was written later, or half, is removed."""
        for draft in self.path.rglob(f".*{DRAFT}"):
            remove(draft)
        for later, folder in self.snapshots():
            if later > step or damage_of(folder):
                shutil.rmtree(folder)
        self.prune(())
        earlier = {file.name: file for file in (self.snapshot(step) / PREDICTIONS).glob("*.jsonl")}
        for file in (self.path / PREDICTIONS).glob("*.jsonl"):
            if file.name not in earlier:
                file.unlink()
        for name, file in earlier.items():
            write_atomic(self.path / PREDICTIONS / name, file.read_bytes())
        if self.log.exists():
            kept = []
            for line in self.log.read_bytes().splitlines(keepends=True):
                with contextlib.suppress(ValueError, LookupError, TypeError):
                    entry = json.loads(line)
                    if (entry["scored"] if "scored" in entry else entry["step"]) <= step:
                        kept.append(line)
            write_atomic(self.log, b"".join(kept))

    def prune(self, wanted: Collection[int]) -> None:
        """Keeps the newest snapshots, the weights they need, and those of the wanted steps."""
        for _, folder in self.snapshots()[SNAPSHOTS_KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)
        self.keep_weights({*wanted, *(step for at in self.snapshots() for step in steps_needed(*at))})

    def keep_weights(self, wanted: Collection[int]) -> None:
        """Removes the checkpoints of all other steps."""
        for folder in (self.path / "checkpoints").glob("step-*"):
            if folder not in map(self.checkpoint, wanted):
                shutil.rmtree(folder, ignore_errors=True)

    def tidy(self, wanted: Collection[int]) -> None:
        """A finished run keeps only the weights of the wanted steps."""
        (self.path / "lock").unlink(missing_ok=True)
        shutil.rmtree(self.path / "resume", ignore_errors=True)
        self.keep_weights(wanted)


def read_record(path: Path, results: Path) -> Record:
    """A record that can be relied on, or a DataError that says why it cannot."""
    if path.name == RECORD and not is_safe_name(path.parent.name):
        raise DataError(f"its folder cannot be that of a run: {SAFE_NAMES}")
    try:
        with open_inside(path, results) as file:
            text = read_small(file, LARGEST_RECORD)
    except OSError as error:
        raise Unreadable(f"it cannot be read: {why(error)}") from None
    except ValueError as error:
        raise DataError(str(error)) from None
    try:
        values = json_value(text)
    except ValueError as error:
        raise DataError(f"it is not complete JSON: {error}" if text.strip() else "it is empty") from None
    record = record_from(values)
    try:
        plan_from(record.plan)
    except (GlueError, TypeError) as error:
        raise DataError(f"its plan cannot be read: {error}") from None
    if record.id != path.parent.name:
        raise DataError(f"it is the record of run {record.id!r}, so it belongs in a folder of that name")
    return record


class Unreadable(DataError):
    """The system gives no content: another time it may."""


def open_inside(path: Path, results: Path) -> BinaryIO:
    """A file of the results folder: links out of it are not followed."""
    if os.path.commonpath([home := os.path.realpath(results), os.path.realpath(path)]) != home:
        raise OSError(0, "a link leads out of the results folder and is not followed: copy the run instead")
    return open_file(path)


def steps_needed(step: int, snapshot: Path) -> set[int]:
    """The steps whose weights a snapshot cannot do without: its own, and the best ones so far."""
    best = json.loads((snapshot / PROGRESS).read_text(encoding="utf-8"))["best"]
    return {step, *best.values()} - {0}


def prove(folder: Path) -> None:
    """Refuses a sealed folder whose files are not those that were written."""
    if damage := damage_of(folder):
        raise GlueError(f"checkpoint {str(folder)!r} cannot be read: {damage}")


def _seal(target: Path, write: Callable[[Path], None]) -> None:
    """A disk that fails while something is saved is one line."""
    try:
        seal(target, write)
    except Exception as error:
        from safetensors import SafetensorError  # only here: reading results needs no weights

        if not isinstance(error, OSError | SafetensorError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise GlueError(f"cannot save checkpoint {str(target)!r}: {reason}; free some space") from None


def _prediction(task: Task, line: bytes, otherwise: str) -> tuple[Prediction, bool]:
    """What a line keeps, and whether the example shares a text with rows trained on."""
    try:
        kept = json_value(line.decode())
        texts = [kept[name] for name in ("id", "target", "prediction")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(kept["info"], dict):
            raise TypeError("a value has the wrong type")
        example = task.example(Text("", kept["target"], kept["info"]), kept["id"], {})
        return task.prediction(example, kept["prediction"], kept["scores"]), kept.get("shared") is True
    except (ValueError, LookupError, TypeError, AttributeError, DataError) as error:
        raise DataError(f"{otherwise}: {error}") from None
