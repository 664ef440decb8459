"""Rows for a task, from the Hub, from a folder or from the demo generator, checked before use."""

from __future__ import annotations

from glue_harness.core.errors import DataError, UsageError, unknown
from glue_harness.core.plan import is_demo
from glue_harness.core.task import Masking, Task
from glue_harness.data import demo, folder, hub, own
from glue_harness.data.rows import Rows, check

__all__ = ["Rows", "available", "check_where", "is_demo", "is_here", "load", "load_text", "training_size"]

ROLES = ("train", "validation", "test")


def load(task: Task, role: str, where: str, *, revision: str | None = None) -> Rows:
    """The checked rows of one split. `where` is hub, demo, demo:ROWS or a folder."""
    split = split_of(task, role)
    if revision and where != "hub":
        raise UsageError(f"--revision names a revision on the Hub, but --data is {where!r}: leave one of them out")
    if is_demo(where):
        return check(task, role, split, demo.read(task, role, split, where))
    found = hub.read(task, split, revision) if where == "hub" else folder.read(task, split, where)
    return check(task, role, split, found, task.source.rows.get(split))


def load_text(task: Task, role: str, where: str) -> Rows:
    """The paragraphs of a user's own text, for a task that learns from text alone; a scored one has some held out."""
    found = own.read_text(where, role if "validation" in task.splits else None)
    if isinstance(task.noise, Masking) and task.noise.pairs and len(found.rows) < 2:
        raise DataError(
            f"text {where!r} has no two documents for {role}, to make pairs of: put a blank line between documents"
        )
    return check(task, role, split_of(task, role), found)


def split_of(task: Task, role: str) -> str:
    """The Hub's name of the split that plays a role for a task."""
    if role not in ROLES:
        raise unknown("split", role, ROLES)
    if role in task.splits:
        return task.splits[role]
    instead = f"it is scored by {', '.join(task.scored_by)}" if task.scored_by else f"it has {', '.join(task.splits)}"
    raise DataError(f"task {task.name!r} has no {role} split: {instead}")


def training_size(task: Task, where: str, revision: str | None = None) -> int:
    """Training examples: the official rows of the Hub, counted after encoding in data that is here."""
    if where == "hub":
        official = task.training_examples or task.source.rows.get(task.splits["train"])
        if official is None:
            raise UsageError(f"task {task.name!r} states no official number of rows: use --data DIR")
        return official
    return sum(len(task.encode(row)) for row in load(task, "train", where, revision=revision))


def check_where(where: str) -> None:
    """Whether `where` can be meant at all: nothing is read."""
    if is_demo(where):
        demo.rows_asked_for(where)
    elif where != "hub":
        folder.data_folder(where)


def available(task: Task, where: str) -> str:
    """Whether the rows of all splits are at hand, judged by file names only."""
    if is_demo(where) and task.demo is None:
        return "no generator"
    lacking = [role for role, split in task.splits.items() if not is_here(task, split, where)]
    if not lacking:
        return "yes"
    if len(lacking) < len(task.splits):
        return f"partly: no {', '.join(lacking)}"
    return "to download" if where == "hub" and task.source.hub else "no"


def is_here(task: Task, split: str, where: str) -> bool:
    """Whether a split can be read without network, judged by file names only."""
    if is_demo(where):
        return task.demo is not None
    if where == "hub":
        return bool(hub.cached_files(task.source, split, task.source.revision or "*"))
    return folder.find(task, split, folder.data_folder(where)) is not None
