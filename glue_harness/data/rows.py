"""Rows as the rest of the harness sees them, in the Hub's schema, and what must hold of them before they are used."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from glue_harness.core.errors import DataError, RowError
from glue_harness.core.plugins import own_failure
from glue_harness.core.task import HIDDEN_LABEL, Example, Row, Task, Text

Made = TypeVar("Made")
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)


class Unchecked(NamedTuple):
    """What a source gave."""

    rows: Sequence[Row]
    origin: str  # for people and records: names no machine
    notes: Sequence[str] = ()  # of a file, complete once it was read to its end
    right: Sequence[Row] | None = None  # the same rows with the right labels, where some are known to be wrong


@dataclass(frozen=True, eq=False)
class Rows(Sequence[Row]):
    """The checked rows of one split, and what is needed to say which rows they were."""

    rows: Sequence[Row] = field(repr=False)
    split: str  # the Hub's name
    origin: str
    official: int | None  # rows of the official split, where known
    fingerprint: str
    notes: tuple[str, ...] = ()
    right: Sequence[Row] | None = field(default=None, repr=False)  # as in `Unchecked`

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_record(self) -> dict[str, Any]:
        facts = {"split": self.split, "rows": len(self), "official": self.official, "origin": self.origin}
        return {**facts, "fingerprint": self.fingerprint, "notes": list(self.notes)}


class StreamedRows(Sequence[Row]):
    """Rows that are read anew each time that someone goes through them: in memory is only how many they are."""

    def __init__(self, files: Sequence[Path], read: Callable[[], Iterator[Row]], count: int | None = None) -> None:
        """`files` are those that must not change meanwhile, `count` the number of rows if it is known before."""
        self.stamps = {file: stamp(file) for file in files}
        self.read, self.size = read, count

    def changed(self, change: Callable[[Iterator[Row]], Iterator[Row]]) -> StreamedRows:
        """The same rows, one by one as `change` makes them."""
        made = StreamedRows((), lambda: change(self.read()), self.size)
        made.stamps = self.stamps
        return made

    def __len__(self) -> int:
        if self.size is None:
            self.size = sum(1 for _ in self)
        return self.size

    def __iter__(self) -> Iterator[Row]:
        for file, before in self.stamps.items():
            if stamp(file) != before:
                raise DataError(f"{file} was changed while it was in use: start again")
        count = 0
        for count, row in enumerate(self.read(), 1):  # noqa: B007
            yield row
        self.size = count

    def __getitem__(self, index: int | slice) -> Any:
        """Goes through the rows up to there."""
        wanted = range(len(self))[index]
        if not isinstance(wanted, range):
            return next(islice(self, wanted, None))
        forward = wanted if wanted.step > 0 else wanted[::-1]
        rows = list(islice(self, forward.start, forward.stop, forward.step))
        return rows if wanted.step > 0 else rows[::-1]


def stamp(file: Path) -> tuple[int, int]:
    """What changes with a file's content; zeros for a file that cannot be read, which its reader will say."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def check(task: Task, role: str, split: str, found: Unchecked, official: int | None = None) -> Rows:
    """The rows as a run may use them; goes through all of them once, for their fingerprint."""
    digest = fingerprint(task, checked(task, role, found))
    rows, notes = len(found.rows), list(found.notes)
    if official is not None and rows < official:
        notes.append(f"subset: {rows:,} of {official:,} rows")
    if official is not None and rows > official:
        notes.append(f"more rows than the official split: {rows:,}, not {official:,}")
    return Rows(found.rows, split, found.origin, official, digest, tuple(notes), found.right)


def checked(task: Task, role: str, found: Unchecked) -> Iterator[Row]:
    """The rows one by one, each after its columns and its label have been looked at."""
    needs = frozenset(task.needs)
    labelled = "label" in needs
    is_label, allowed = labels_of(task)
    number = 0
    for number, row in enumerate(found.rows, 1):
        if not needs <= row.keys():
            raise DataError(f"{found.origin}, row {number}: {missing(task, row)}")
        if labelled and not is_label(value := row["label"]) and not (role == "test" and value == HIDDEN_LABEL):
            wrong = f"-1 means hidden, and a {role} split needs labels: is it a test file?"
            if value != HIDDEN_LABEL:
                wrong = f"{value!r} is not allowed: {allowed}"
            raise DataError(f"{found.origin}, row {number}: label {wrong}")
        yield row
    if not number:
        raise DataError(f"{found.origin}: no rows: a {role} split must not be empty")


def labels_of(task: Task) -> tuple[Callable[[Any], bool], str]:
    """Which labels are right, hidden ones aside: a function that knows, and words that say."""
    if task.labels:
        ids = range(len(task.labels))
        words = ", ".join(f"{number}={name}" for number, name in enumerate(task.labels))
        return lambda value: type(value) is int and value in ids, words
    scale = [float(choice) for choice in task.choices] if task.kind == "regress" else []
    scale += [struct.unpack("f", struct.pack("f", end))[0] for end in scale]  # labels are in single precision
    low, high = min(scale, default=-math.inf), max(scale, default=math.inf)

    def is_score(value: Any) -> bool:
        is_number = type(value) in (int, float) and math.isfinite(value)  # a bool is not a number here
        return is_number and low <= value <= high and (bool(scale) or value != HIDDEN_LABEL)

    return is_score, f"{low:g} to {high:g}" if scale else "any number"


def missing(task: Task, row: Row) -> str:
    """Says which columns a row lacks."""
    lacking = [repr(column) for column in task.needs if column not in row]
    columns = f"column {lacking[0]} is" if len(lacking) == 1 else f"columns {', '.join(lacking)} are"
    return f"{columns} missing, found: {', '.join(map(str, row)) or 'none'}"


def fingerprint(task: Task, rows: Iterable[Row]) -> str:
    """SHA-256 of what the task reads in the rows, in order: the same whatever the rows came from."""
    digest = hashlib.sha256()
    values = ([row[column] for column in task.needs] for row in rows)
    while batch := list(islice(values, 1000)):
        digest.update(CANONICAL.encode(batch).encode())
    return digest.hexdigest()


def inputs_of(task: Task, row: Row) -> str:
    """What a row asks, as one text: the same whatever the rows came from."""
    return CANONICAL.encode([row.get(column) for column in task.columns if column not in ("idx", "label")])


def encode(task: Task, row: Row) -> list[Text]:
    """`task.encode` for a row nobody has checked: whatever is wrong with it is a `RowError`."""
    return made_of(task, row, task.encode)


def examples(task: Task, row: Row, number: int) -> list[Example]:
    """The same for `task.examples`."""
    return made_of(task, row, lambda row: task.examples(row, number))


def examples_of(task: Task, rows: Iterable[Any]) -> Iterator[Example]:
    """The examples of a split one by one; a row that T5's rule cannot take is named with its place."""
    for number, row in enumerate(rows):
        try:
            yield from examples(task, row, number)
        except RowError as error:
            origin = getattr(rows, "origin", "the rows")
            raise DataError(f"{task.name}, row {number + 1} of {origin}: {error}") from None


def made_of(task: Task, row: Row, make: Callable[[Row], Iterable[Made]]) -> list[Made]:
    if not row.keys() >= set(task.needs):
        raise RowError(missing(task, row))
    try:
        return list(make(row))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = own_failure(error) or f"{type(error).__name__}: {error}"
        raise RowError(f"a value has the wrong type or shape: {what}") from error
