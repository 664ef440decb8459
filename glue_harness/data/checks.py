"""What must hold of rows before anything is trained or scored on them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from glue_harness.core.errors import DataError, RowError
from glue_harness.core.task import Example, Row, Task, Text
from glue_harness.data.rows import Read

Made = TypeVar("Made")
HIDDEN_LABEL = -1  # of a row whose answer is not public
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)


def checked(task: Task, role: str, read: Read) -> Iterator[Row]:
    """The rows one by one, each after its columns and its label have been looked at."""
    needs = frozenset(task.needs)
    labelled = "label" in needs
    is_label, allowed = labels_of(task)
    number = 0
    for number, row in enumerate(read.rows, 1):
        if not needs <= row.keys():
            raise DataError(f"{read.origin}, row {number}: {missing(task, row)}")
        if labelled and not is_label(value := row["label"]):
            if value != HIDDEN_LABEL:
                raise DataError(f"{read.origin}, row {number}: label {value!r} is not allowed: {allowed}")
            if role != "test":
                raise DataError(
                    f"{read.origin}, row {number}: label -1 means hidden, and a {role} split needs labels: "
                    "is it a test file?"
                )
        yield row
    if not number:
        raise DataError(f"{read.origin}: no rows: a {role} split must not be empty")


def missing(task: Task, row: Row) -> str:
    """Says which columns a row lacks."""
    lacking = [repr(column) for column in task.needs if column not in row]
    are_missing = (
        f"column {lacking[0]} is missing" if len(lacking) == 1 else f"columns {', '.join(lacking)} are missing"
    )
    return f"{are_missing}, found: {', '.join(map(str, row)) or 'none'}"


def labels_of(task: Task) -> tuple[Callable[[Any], bool], str]:
    """Which labels are right, hidden ones aside: a function that knows, and words that say."""
    if task.labels:
        ids = range(len(task.labels))
        words = ", ".join(f"{number}={name}" for number, name in enumerate(task.labels))
        return lambda value: type(value) is int and value in ids, words
    if task.kind == "regress" and task.choices:
        scale = [float(choice) for choice in task.choices]
        low, high = min(scale), max(scale)
        return lambda value: is_number(value) and low <= value <= high, f"{low:g} to {high:g}"
    return lambda value: is_number(value) and value != HIDDEN_LABEL, "any number"


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # a bool is not a number here


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


def count_notes(rows: int, official: int | None) -> tuple[str, ...]:
    """What is to be said about a number of rows that is not the official one."""
    if official is None or rows == official:
        return ()
    if rows < official:
        return (f"subset: {rows:,} of {official:,} rows",)
    return (f"more rows than the official split: {rows:,}, not {official:,}",)


def encode(task: Task, row: Row) -> list[Text]:
    """`task.encode` for a row nobody has checked: whatever is wrong with it is a `RowError`."""
    return _made(task, row, lambda: list(task.encode(row)))


def examples(task: Task, row: Row, number: int) -> list[Example]:
    """The same for `task.examples`."""
    return _made(task, row, lambda: task.examples(row, number))


def _made(task: Task, row: Row, make: Callable[[], list[Made]]) -> list[Made]:
    if not row.keys() >= set(task.needs):
        raise RowError(missing(task, row))
    try:
        return make()
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RowError(f"a value has the wrong type or shape: {type(error).__name__}: {error}") from error
