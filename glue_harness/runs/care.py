"""Looking after runs: marks that people put on them, what they hold on disk, what hangs on them, and removal."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.record import Record
from glue_harness.core.writing import why
from glue_harness.runs.folder import RECORD, Taken
from glue_harness.runs.store import Store

LONGEST_TAG, LONGEST_NOTE = 64, 2000
LARGE = ("checkpoints", "resume")  # weights, and what a run that is not at its end needs beside them to go on
EXPORTED = ("export",)
AT_WORK = "is at work"
FREED = "weights removed: the scores can be read, the model is gone"


class Marks(NamedTuple):
    """What people say of a run. No part of the experiment, and so not of a plan or its digest."""

    tags: tuple[str, ...] = ()
    note: str = ""

    def put_on(self, record: Record) -> None:
        record.tags += [tag for tag in self.tags if tag not in record.tags]
        record.note = self.note or record.note


NO_MARKS = Marks()


def marks(tags: Iterable[str], note: str = "") -> Marks:
    """Checked: a tag is one word, a note whatever can be read again."""
    names = tuple(dict.fromkeys(tags))
    for tag in names:
        if not tag.isprintable() or " " in tag or "," in tag or not 0 < len(tag) <= LONGEST_TAG:
            raise UsageError(f"tag {tag!r}: write one word of at most {LONGEST_TAG} signs, without commas")
    if len(note) > LONGEST_NOTE:
        raise UsageError(f"the note has {len(note):,} signs: write at most {LONGEST_NOTE:,}")
    return Marks(names, note)


def change(store: Store, record: Record, how: Callable[[Record], None]) -> Record:
    """Changes what is said of a run. Its own process writes the record too: so never while one is at work on it."""
    run = store.run(record.id)
    try:
        with run.claim():
            found = store.find(record.id)  # as it is now that nobody else writes it
            before = found.to_dict()
            how(found)
            if found.to_dict() != before:
                store.save(found)
            if found.status == "finished":
                (run.path / "lock").unlink(missing_ok=True)
            return found
    except Taken:
        raise GlueError(
            f"run {record.id} is at work and writes its record itself: wait for its end, or begin it with --tag and "
            "--note"
        ) from None


def named(store: Store, names: Iterable[str], among: Sequence[Record]) -> list[Record]:
    """The runs of names as other commands take them: ids, parts of them, folders, latest; a digest means all seeds."""
    found: dict[str, Record] = {}
    for name in (part.strip() for text in names for part in text.split(",")):
        repeats = [record for record in among if record.digest == name]
        found |= {record.id: record for record in repeats or [store.find(name, among)]}
    return list(found.values())


def sizes(store: Store, record: Record) -> dict[str, int]:
    """Bytes on disk, by the first part of a file's path in its run: checkpoints, predictions, record.json."""
    folder = str(store.run_folder(record.id))
    found: dict[str, int] = defaultdict(int)
    for place, _, files in os.walk(folder):
        part = os.path.relpath(place, folder).split(os.sep)[0]
        for name in files:
            with contextlib.suppress(OSError):  # a run under way removes files
                found[name if part == "." else part] += os.lstat(os.path.join(place, name)).st_size
    return dict(found)


def held_by(held: Mapping[str, int], parts: Iterable[str]) -> int:
    return sum(held.get(part, 0) for part in parts)


def mean_score(record: Record) -> float | None:
    """The mean over tasks of the mean of their metrics; None if a value is undefined, or none was scored."""
    values = [list(score.metrics.values()) for score in record.scores.values() if score.metrics]
    defined = [[value for value in of_task if value is not None] for of_task in values]
    return fmean(map(fmean, defined)) if values and defined == values else None


def parents(record: Record) -> list[str]:
    """The runs whose models it started from, or learned from."""
    return list(dict.fromkeys(run for runs in record.parents.values() for run in runs))


def children(records: Iterable[Record]) -> dict[str, list[str]]:
    """For each run that others started from, these."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for parent in parents(record):
            found[parent].append(record.id)
    return found


def reason_to_stay(
    store: Store, record: Record, of: Mapping[str, Sequence[str]], going: Collection[str] = ()
) -> str | None:
    """Why a run must not lose anything; `going` are those that go with it."""
    if store.run(record.id).is_at_work():
        return AT_WORK
    if record.kept:
        return "is marked to be kept (glue runs keep --undo)"
    if left := [child for child in of.get(record.id, ()) if child not in going]:
        others = "" if len(left) == 1 else f" and {len(left) - 1} more"
        return f"is what run {left[0]}{others} started or learned from"
    return None


def staying(store: Store, records: Sequence[Record], of: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which of these runs must stay, and why: what stays keeps what it started from."""
    stay: dict[str, str] = {}
    while True:
        going = {record.id for record in records} - stay.keys()
        reasons = ((r.id, reason_to_stay(store, r, of, going)) for r in records if r.id in going)
        if not (more := {name: why for name, why in reasons if why}):
            return stay
        stay |= more


def remove(store: Store, record: Record) -> None:
    """The record goes first: what a crash leaves of the rest is no run to anybody."""
    folder = store.run_folder(record.id)
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        (folder / RECORD).unlink(missing_ok=True)
        shutil.rmtree(folder)
    except OSError as error:
        raise GlueError(f"cannot remove {str(folder)!r}: {why(error)}") from None


def free(store: Store, record: Record, parts: Sequence[str]) -> int:
    """Removes parts of a run's folder and keeps its evidence; tells how many bytes that freed."""
    held = sizes(store, record)
    folder = store.run_folder(record.id)

    def say(found: Record) -> None:
        if set(parts) & set(LARGE) & held.keys() and FREED not in found.notes:
            found.notes.append(FREED)

    change(store, record, say)
    for part in parts:
        _remove_part(folder / part)
    return held_by(held, parts)


def _remove_part(path: Path) -> None:
    try:
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    except OSError as error:
        raise GlueError(f"cannot remove {str(path)!r}: {why(error)}") from None
