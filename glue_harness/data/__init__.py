"""Rows for a task, from the Hub, from a folder or from the demo generator, checked before use."""

from __future__ import annotations

from glue_harness.core.errors import DataError, UsageError, unknown
from glue_harness.core.task import Task
from glue_harness.data import demo, folder, hub, text
from glue_harness.data.checks import checked, count_notes, fingerprint
from glue_harness.data.rows import Read, Rows

__all__ = ["ROLES", "Rows", "available", "load", "load_text"]

ROLES = ("train", "validation", "test")


def load(task: Task, role: str, where: str, *, revision: str | None = None) -> Rows:
    """The checked rows of one split. `where` is hub, demo, demo:ROWS or a folder."""
    split = split_of(task, role)
    if revision and where != "hub":
        raise UsageError(f"--revision names a revision on the Hub, but --data is {where!r}: leave one of them out")
    read = read_rows(task, role, split, where, revision)
    official = None if is_demo(where) else task.source.rows.get(split)
    digest = fingerprint(task, checked(task, role, read))
    notes = (*read.notes, *count_notes(len(read.rows), official))
    return Rows(read.rows, split, read.origin, official, digest, notes)


def load_text(task: Task, where: str) -> Rows:
    """The paragraphs of a user's own text, for a task that learns from text alone."""
    read = text.read(where)
    return Rows(read.rows, "train", read.origin, None, fingerprint(task, checked(task, "train", read)), read.notes)


def training_size(task: Task, where: str, revision: str | None = None) -> int:
    """Training examples: the official rows of the Hub, counted after encoding in data that is here."""
    if where == "hub":
        official = task.training_examples or task.source.rows.get(task.splits["train"])
        if official is None:
            raise UsageError(f"task {task.name!r} states no official number of rows: use --data DIR")
        return official
    return sum(len(task.encode(row)) for row in load(task, "train", where, revision=revision))


def split_of(task: Task, role: str) -> str:
    """The Hub's name of the split that plays a role for a task."""
    if role not in ROLES:
        raise unknown("split", role, ROLES)
    if role in task.splits:
        return task.splits[role]
    instead = f"it is scored by {', '.join(task.scored_by)}" if task.scored_by else f"it has {', '.join(task.splits)}"
    raise DataError(f"task {task.name!r} has no {role} split: {instead}")


def read_rows(task: Task, role: str, split: str, where: str, revision: str | None) -> Read:
    if where == "hub":
        return hub.read(task, split, revision)
    if is_demo(where):
        return demo.read(task, role, split, where)
    return folder.read(task, split, where)


def check_where(where: str) -> None:
    """Whether `where` can be meant at all: nothing is read."""
    if is_demo(where):
        demo.rows_asked_for(where)
    elif where != "hub":
        folder.data_folder(where)


def is_demo(where: str) -> bool:
    return where.partition(":")[0] == "demo"


def available(task: Task, where: str) -> str:
    """Whether the rows of all splits are at hand, judged by file names only."""
    if is_demo(where):
        return "yes" if task.demo else "no generator"
    there = {role: is_here(task, split, where) for role, split in task.splits.items()}
    lacking = [role for role, found in there.items() if not found]
    if not lacking:
        return "yes"
    if len(lacking) < len(there):
        return f"partly: no {', '.join(lacking)}"
    return "to download" if where == "hub" and task.source.hub else "no"


def is_here(task: Task, split: str, where: str) -> bool:
    """Whether a split can be read without network, judged by file names only."""
    if is_demo(where):
        return task.demo is not None
    if where == "hub":
        return hub.is_cached(task.source, split)
    return folder.find(task, split, folder.data_folder(where)) is not None
