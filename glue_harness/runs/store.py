"""Where runs are kept: results/<id>/, a folder a run. No crash loses what was there."""

from __future__ import annotations

import contextlib
import difflib
import gc
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from glue_harness.core.errors import DataError, GlueError, UsageError, unknown
from glue_harness.core.names import LATEST, SAFE_NAMES, is_safe_name
from glue_harness.core.plan import SCORED, Plan
from glue_harness.core.record import Record
from glue_harness.core.task import Prediction, Task
from glue_harness.core.writing import why
from glue_harness.runs.folder import RECORD, RunFolder, read_record
from glue_harness.runs.index import Entry, entries, record_files

STAMP = "%Y%m%d-%H%M%S"  # at the start of an id
SKEW = timedelta(minutes=1)  # between the clocks of machines that share a folder


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """To look for garbage among very many new objects takes longer than to make them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


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

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.run_folder(run_id))

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
        date, newest = max(map(_dated, os.listdir(self.folder)))
        if date > _dated(record.id)[0] + SKEW:
            record.notes.append(f"the clock went back: run {newest} is dated later; latest and boards go by the dates")
        try:
            self.save(record)
        except GlueError as error:
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise GlueError(f"results folder {str(self.folder)!r} cannot be written: {error}") from None
        return folder

    def _unusable(self, why: str) -> GlueError:
        fix = "choose a folder that can be written with --results, or free some space"
        return GlueError(f"results folder {str(self.folder)!r} cannot be written: {why}; {fix}")

    def save(self, record: Record) -> None:
        self.run(record.id).save(record)

    def discard(self, run_id: str) -> None:
        """Removes a run that never came to anything."""
        shutil.rmtree(self.run_folder(run_id), ignore_errors=True)

    def load_all(self) -> tuple[list[Record], list[tuple[Path, str]]]:
        """Every readable record, oldest first, and the files that are not one with the reason."""
        records, broken = [], []
        for path in sorted(self.folder / name for name, _ in record_files(self.folder)):
            try:
                records.append(read_record(path, self.folder))
            except DataError as error:
                broken.append((path, str(error)))
        return sorted(records, key=_age), broken

    def summaries(self, known: Sequence[Entry] | None = None) -> tuple[list[Record], list[tuple[Path, str]]]:
        """The same by the index, however many there are: without `history` and `last`, and not to be changed.

        `known` is what the index holds, where the caller has read it.
        """
        with without_collector():
            found = entries(self.folder) if known is None else known
            parsed: dict[bytes, Any] = {}
            broken = sorted((self.folder / entry.path, entry.broken) for entry in found if entry.broken is not None)
            return sorted((entry.summary(parsed) for entry in found if entry.broken is None), key=_age), broken

    def find(self, name: str, among: Sequence[Record | Entry] | None = None) -> Record:
        """The run that a user means: its id, a part of it that only one run has, its folder, or `latest`.

        `among` are the readable records, their summaries or their entries, oldest first, where the caller has them.
        """
        if "/" in name or os.sep in name:
            name = self._id_at(name)
        if is_safe_name(name) and (self.folder / name / RECORD).exists():
            return self._read(name)
        ids = [entry.id for entry in self.by_age()] if among is None else [record.id for record in among]
        if not ids:
            raise UsageError(f"no run in {str(self.folder)!r}: make one with glue run, or name a folder with --results")
        if not name:
            raise UsageError("a run without a name: write its id, a part of it, or latest")
        found = ids[-1:] if name == LATEST else [i for i in ids if i.startswith(name)] or [i for i in ids if name in i]
        if len(found) > 1:
            raise UsageError(f"run {name!r} matches {len(found)} runs, write more of it: {', '.join(found[-5:])}")
        if not found:
            raise unknown("run", name, [LATEST, *difflib.get_close_matches(name, ids, n=5, cutoff=0)])
        known = None if among is None else among[ids.index(found[0])]
        return known if isinstance(known, Record) else self._read(found[0])

    def of_plan(self, digest: str, seed: int) -> list[Record]:
        """Every run of a plan with one seed, oldest first."""
        found = []
        for entry in self.by_age():
            if (entry.digest, entry.seed or 0) == (digest, seed):
                with contextlib.suppress(DataError):  # another process has just removed it
                    found.append(self._read(entry.id))
        return found

    def finished(self, digest: str, seed: int) -> Record | None:
        """The last run of a plan with one seed that came to its end."""
        return next((record for record in reversed(self.of_plan(digest, seed)) if record.status == "finished"), None)

    def by_age(self) -> list[Entry]:
        """What the index knows of the readable records, oldest first."""
        found = (entry for entry in entries(self.folder) if entry.broken is None)
        return sorted(found, key=lambda entry: (entry.started, entry.id))

    def _read(self, run_id: str) -> Record:
        path = self.folder / run_id / RECORD
        try:
            return read_record(path, self.folder)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def _id_at(self, path: str) -> str:
        """The id of the run at a path, which must lie in this store."""
        folder = Path(os.path.abspath(path))
        folder = folder.parent if folder.name == RECORD else folder
        if folder.parent != Path(os.path.abspath(self.folder)):
            raise UsageError(f"{path!r} is not a run in {str(self.folder)!r}: name its folder of runs with --results")
        return folder.name

    def read_predictions(self, run_id: str, task: Task) -> list[Prediction]:
        return self.run(run_id).read_predictions(task)

    def read_train(self, run_id: str) -> list[dict[str, Any]]:
        return self.run(run_id).read_train()


def refuse_scored(record: Record, what: str) -> None:
    """For whoever needs a model, or more of a training than its scores."""
    if record.plan.get("method") == SCORED:
        raise UsageError(f"run {record.id} has answers that were scored, not a model: {what}")


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
