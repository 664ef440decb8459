"""Runs sent between machines that share no folder: file by file, in pieces, and checked by their sums when they arrive.

`Post` is on the launcher's side, which has the results; `send` and `fetch` are on the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from glue_harness.core.errors import DataError, GlueError
from glue_harness.core.plan import EARLIER
from glue_harness.core.record import Record
from glue_harness.jobs.graph import Job, Key
from glue_harness.jobs.trials import CLAIMS, claim
from glue_harness.runs.folder import Taken
from glue_harness.runs.store import Store

PIECE = 4 * 2**20  # bytes on the way at once

Call = Callable[..., Any]  # a method of `Post` by name, wherever it is


class Post:
    """Beside the results, for those who cannot see them."""

    def __init__(self, results: Path) -> None:
        self.store = Store(results)
        self.claims: dict[Key, contextlib.ExitStack] = {}

    def claim(self, key: Key) -> bool:
        """Whether a trial may be carried out; a claim of ours whose worker died is still ours."""
        if key in self.claims:
            return True
        with contextlib.ExitStack() as held:
            try:
                path = held.enter_context(claim(self.store, key))
            except Taken:
                return False
            held.callback(self._tidy, key, path)
            self.claims[key] = held.pop_all()
        return True

    def release(self, key: Key) -> None:
        self.claims.pop(key, contextlib.ExitStack()).close()

    def _tidy(self, key: Key, path: Path) -> None:
        if self.finished(key):
            path.unlink(missing_ok=True)

    def finished(self, key: Key) -> str | None:
        record = self.store.finished(*key)
        return record.id if record else None

    def needed(self, job: Job) -> list[str]:
        """The runs whose weights a job begins with or learns from, and those that these are parts of."""
        runs: list[str] = []
        for named in filter(None, (job.plan.model, job.plan.teacher)):
            if not named.startswith(EARLIER):
                continue
            kind, _, name = named.partition("@")[0].partition(":")
            record: Record | None = self.store.find(name) if kind == "run" else self.store.finished(name, job.plan.seed)
            while record and record.id not in runs:
                runs.append(record.id)
                earlier = record.environment.get("model", {}).get("run")
                record = self.store.find(earlier) if isinstance(earlier, str) else None
        return runs

    def sums(self, run: str) -> dict[str, str]:
        return sums_of(self.store.run_folder(run))

    def read(self, run: str, name: str, offset: int) -> bytes:
        with open(self.store.run_folder(run) / name, "rb") as file:
            file.seek(offset)
            return file.read(PIECE)

    def write(self, run: str, name: str, offset: int, piece: bytes) -> None:
        path = _inside(self._draft(run), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(piece)

    def deliver(self, run: str, sums: dict[str, str]) -> None:
        """What arrived becomes a run of ours, if it is whole."""
        draft = self._draft(run)
        if damaged := [name for name, found in sums.items() if sums_of(draft).get(name) != found]:
            shutil.rmtree(draft, ignore_errors=True)
            raise GlueError(f"run {run} arrived damaged ({damaged[0]}): the same command does it again")
        os.rename(draft, self.store.run_folder(run))

    def _draft(self, run: str) -> Path:
        self.store.run_folder(run)  # a name that is safe
        return self.store.folder / CLAIMS / f"{run}.arriving"


def send(run: str, folder: Path, call: Call) -> None:
    """A run's folder to the launcher."""
    sums = sums_of(folder)
    for name in sums:
        for offset, piece in pieces(folder / name):
            call("write", run, name, offset, piece)
    call("deliver", run, sums)


def fetch(run: str, folder: Path, call: Call) -> None:
    """A run of the launcher's into a folder here, unless it is there."""
    if folder.exists():
        return
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    sums = call("sums", run)
    for name in sums:
        path, offset = _inside(draft, name), 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            while piece := call("read", run, name, offset):
                file.write(piece)
                offset += len(piece)
    if sums_of(draft) != sums:
        raise GlueError(f"run {run}, which this one starts from, arrived damaged: the same command does it again")
    os.rename(draft, folder)


def pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    """At least one, so that an empty file arrives, too."""
    offset = 0
    with open(path, "rb") as file:
        while (piece := file.read(PIECE)) or not offset:
            yield offset, piece
            offset += len(piece)
            if not piece:
                return


def sums_of(folder: Path) -> dict[str, str]:
    """Every file's name in the folder, and its sum; the lock belongs to its process."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock"):
        with open(path, "rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _inside(folder: Path, name: str) -> Path:
    """No name that came over the network leads out of the folder."""
    path = folder / name
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder)):
        raise DataError(f"{name!r} is no file of a run")
    return path
