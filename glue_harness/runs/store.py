"""Where runs are kept: results/<id>/ with record, predictions and log. No crash loses what was there."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from glue_harness.core.errors import DataError, GlueError, UsageError, unknown
from glue_harness.core.names import LATEST, SAFE_NAMES, is_safe_name
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.reading import json_value, lines_of, open_file, read_small
from glue_harness.core.record import Record, record_from
from glue_harness.core.task import Prediction, Task, Text
from glue_harness.core.writing import cannot_save, json_text, why, write_atomic

RECORD = "record.json"
STAMP = "%Y%m%d-%H%M%S"  # at the start of an id
SKEW = timedelta(minutes=1)  # between the clocks of machines that share a folder
LARGEST_RECORD = 64 * 2**20  # bytes
LARGEST_LOG = 256 * 2**20


class Store:
    """A folder of runs that several processes may read and write at once."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def new_id(self, plan: Plan) -> str:
        """Sorts by time, says what it is, and is unique whatever else starts in the same instant."""
        stamp = datetime.now(UTC).strftime(STAMP)
        tasks = "-".join(plan.tasks) if len(plan.tasks) <= 2 else f"{len(plan.tasks)}tasks"
        model = plan.model.replace("\\", "/").rstrip("/").rpartition("/")[2]
        return f"{stamp}-{_slug(tasks)}-{_slug(model)}-s{plan.seed}-{secrets.token_hex(4)}"

    def run_folder(self, run_id: str) -> Path:
        if not is_safe_name(run_id):
            raise UsageError(f"run id {run_id!r} is not allowed: {SAFE_NAMES}")
        return self.folder / run_id

    def prove(self) -> None:
        """Finds out early, and cheaply, whether anything can be written here."""
        probe = self.folder / f".{secrets.token_hex(8)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise self._unusable(why(error)) from None

    def create(self, record: Record) -> Path:
        """Makes the run's folder and writes its record: a results folder that cannot be used is found now."""
        folder = self.run_folder(record.id)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise self._unusable(why(error)) from None
        if later := self._dated_later(record.id):
            record.notes.append(f"the clock went back: run {later} is dated later; latest and boards go by the dates")
        try:
            self.save(record)
        except GlueError as error:
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise GlueError(f"results folder {str(self.folder)!r} cannot be written: {error}") from None
        return folder

    def _dated_later(self, run_id: str) -> str | None:
        """A run that is there already, though its date is still to come."""
        newest, ours = max(map(_dated, os.listdir(self.folder))), _dated(run_id)
        return newest[1] if newest[0] > ours[0] + SKEW else None

    def _unusable(self, why: str) -> GlueError:
        fix = "choose a folder that can be written with --results, or free some space"
        return GlueError(f"results folder {str(self.folder)!r} cannot be written: {why}; {fix}")

    def save(self, record: Record) -> None:
        write_atomic(self.run_folder(record.id) / RECORD, json_text(record.to_dict(), indent=1) + "\n")

    def discard(self, run_id: str) -> None:
        """Removes a run that never came to anything."""
        shutil.rmtree(self.run_folder(run_id), ignore_errors=True)

    def load_all(self) -> tuple[list[Record], list[tuple[Path, str]]]:
        """Every readable record, oldest first, and the files that are not one with the reason."""
        records, broken = [], []
        for path in sorted([*self.folder.glob(f"*/{RECORD}"), *self.folder.glob("*.json")]):
            try:
                records.append(self._read(path))
            except DataError as error:
                broken.append((path, str(error)))
        return sorted(records, key=_age), broken

    def find(self, name: str, among: Sequence[Record] | None = None) -> Record:
        """The run that a user means: its id, a part of it that only one run has, its folder, or `latest`.

        `among` are the readable records, where the caller has them already.
        """
        if "/" in name or os.sep in name:
            name = self._id_at(name)
        if is_safe_name(name) and (self.folder / name / RECORD).exists():
            path = self.folder / name / RECORD
            try:
                return self._read(path)
            except DataError as error:
                raise DataError(f"{path}: {error}") from None
        records = self.load_all()[0] if among is None else among
        if not records:
            raise UsageError(f"no run in {str(self.folder)!r}: make one with glue run, or name a folder with --results")
        if name == LATEST:
            return records[-1]
        if not name:
            raise UsageError("a run without a name: write its id, a part of it, or latest")
        found = [r for r in records if r.id.startswith(name)] or [r for r in records if name in r.id]
        if len(found) > 1:
            matches = ", ".join(record.id for record in found[-5:])
            raise UsageError(f"run {name!r} matches {len(found)} runs, write more of it: {matches}")
        if not found:
            ids = [record.id for record in records]
            raise unknown("run", name, [LATEST, *difflib.get_close_matches(name, ids, n=5, cutoff=0)])
        return found[0]

    def of_plan(self, digest: str, seed: int) -> list[Record]:
        """Every run of a plan with one seed, oldest first."""
        return [r for r in self.load_all()[0] if r.digest == digest and plan_from(r.plan).seed == seed]

    def finished(self, digest: str, seed: int) -> Record | None:
        """The last run of a plan with one seed that came to its end."""
        return next((r for r in reversed(self.of_plan(digest, seed)) if r.status == "finished"), None)

    def _id_at(self, path: str) -> str:
        """The id of the run at a path, which must lie in this store."""
        folder = Path(os.path.abspath(path))
        folder = folder.parent if folder.name == RECORD else folder
        if folder.parent != Path(os.path.abspath(self.folder)):
            raise UsageError(f"{path!r} is not a run in {str(self.folder)!r}: name its folder of runs with --results")
        return folder.name

    def write_predictions(self, run_id: str, task_name: str, predictions: Iterable[Prediction]) -> None:
        """Keeps what is needed to score again: inputs stay with the data."""
        lines = (json_text(_line(prediction)) + "\n" for prediction in predictions)
        write_atomic(self._predictions_file(run_id, task_name), "".join(lines))

    def read_predictions(self, run_id: str, task: Task) -> list[Prediction]:
        """The predictions of a run as its metrics want them, right answers and groups included."""
        path = self._predictions_file(run_id, task.name)
        found = []
        try:
            with self._open(path) as file:
                for number, line in lines_of(file, str(path)):
                    found.append(_prediction(task, line, f"{path}, line {number} is not a prediction of {task.name}"))
        except OSError as error:
            raise DataError(f"{path}: it cannot be read: {why(error)}") from None
        return found

    def append_train(self, run_id: str, entry: Mapping[str, Any]) -> None:
        """One line more in train.jsonl, by one write: a killed process leaves no half of it."""
        path = self.run_folder(run_id) / "train.jsonl"
        try:
            with open(path, "ab") as file:
                file.write((json_text(entry) + "\n").encode())
        except OSError as error:
            raise cannot_save(path, error) from None

    def cut_train(self, run_id: str, step: int) -> None:
        """Drops the lines of train.jsonl after a step, and one that was cut off."""
        path = self.run_folder(run_id) / "train.jsonl"
        if path.exists():
            lines = path.read_bytes().splitlines(keepends=True)
            write_atomic(path, b"".join(line for line in lines if _is_until(step, line)))

    def _read(self, path: Path) -> Record:
        """A record that can be relied on, or an error that says why it cannot."""
        if path.name == RECORD and not is_safe_name(path.parent.name):
            raise DataError(f"its folder cannot be that of a run: {SAFE_NAMES}")
        try:
            with self._open(path) as file:
                text = read_small(file, LARGEST_RECORD)
        except OSError as error:
            raise DataError(f"it cannot be read: {why(error)}") from None
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

    def _open(self, path: Path) -> BinaryIO:
        """A file of this store: links out of it are not followed."""
        if os.path.commonpath([home := os.path.realpath(self.folder), os.path.realpath(path)]) != home:
            raise OSError(0, "a link leads out of the results folder and is not followed: copy the run instead")
        return open_file(path)

    def read_train(self, run_id: str) -> list[dict[str, Any]]:
        """The lines of train.jsonl, one a step: of repeated steps the last, and none that was cut off."""
        path = self.run_folder(run_id) / "train.jsonl"
        found: dict[int, dict[str, Any]] = {}
        try:
            with self._open(path) as file:
                for line in read_small(file, LARGEST_LOG).splitlines():
                    with contextlib.suppress(ValueError):
                        entry = json_value(line)
                        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                            found[entry["step"]] = entry
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: it cannot be read: {error}") from None
        return [found[step] for step in sorted(found)]

    def _predictions_file(self, run_id: str, task_name: str) -> Path:
        if not is_safe_name(task_name):
            raise UsageError(f"task name {task_name!r} cannot be a file name: {SAFE_NAMES}")
        return self.run_folder(run_id) / "predictions" / f"{task_name}.jsonl"


def _is_until(step: int, line: bytes) -> bool:
    try:
        return json.loads(line)["step"] <= step
    except (ValueError, LookupError, TypeError):
        return False


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:24].rstrip("-.") or "x"


def _dated(run_id: str) -> tuple[datetime, str]:
    """When an id was given, by the clock of the machine that gave it; what has no date counts as old."""
    try:
        return datetime.strptime("-".join(run_id.split("-")[:2]), STAMP), run_id
    except ValueError:
        return datetime(1970, 1, 1), run_id


def _age(record: Record) -> tuple[str, str]:
    return record.started, record.id


def _line(prediction: Prediction) -> dict[str, Any]:
    example = prediction.example
    return {
        "id": example.id,
        "target": example.target,
        "prediction": prediction.text,
        "info": example.info,
        "scores": prediction.scores,
    }


def _prediction(task: Task, line: bytes, otherwise: str) -> Prediction:
    try:
        kept = json_value(line.decode())
        texts = [kept[name] for name in ("id", "target", "prediction")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(kept["info"], dict):
            raise TypeError("a value has the wrong type")
        example = task.example(Text("", kept["target"], kept["info"]), kept["id"], {})
        return task.prediction(example, kept["prediction"], kept["scores"])
    except (ValueError, LookupError, TypeError, AttributeError, DataError) as error:
        raise DataError(f"{otherwise}: {error}") from None
