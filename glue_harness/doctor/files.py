"""Official text files: what can be told from a header and from the last byte."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from glue_harness.core.task import File, Task
from glue_harness.data import folder, is_demo
from glue_harness.data.rows import Rows

FIT = 2  # a header that fits more tasks tells nothing


def text_file(task: Task, split: str, data: str) -> Path | None:
    """The text file that holds a split in a folder."""
    if data == "hub" or is_demo(data):
        return None
    place = folder.find(task, split, folder.data_folder(data))
    last = place.files()[-1]
    return last if last.suffix in (".tsv", ".jsonl") else None


def header_of(path: Path | None) -> list[str]:
    if path is None or path.suffix != ".tsv":
        return []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline().rstrip("\r\n").split("\t")


def with_test_labels(task: Task, split: str, path: Path | None) -> Task:
    """The task, reading labels also where its official file has none: then they are not the official ones."""
    file = task.source.files.get(split)
    if file is None or not file.columns or "label" in file.columns:
        return task
    usual = {other.columns.get("label") for other in task.source.files.values()} | {"label"}
    there = next((name for name in header_of(path) if name in usual), None)
    if there is None:
        return task
    labelled = File(file.names, {**file.columns, "label": there}, file.header)
    return replace(task, source=replace(task.source, files={**task.source.files, split: labelled}))


def owner(task: Task, role: str, path: Path | None, tasks: Iterable[Task]) -> str:
    """Says whose file it is, if its columns are those of other tasks."""
    header = set(header_of(path))
    if header >= named_columns(task, role):
        return ""
    others = [other for other in tasks if other.source is not task.source and role in other.splits]
    titles = {other.title for other in others if header >= named_columns(other, role) != set()}
    if not 0 < len(titles) <= FIT:
        return ""
    return f"it has the columns of {' or '.join(sorted(titles))}: exchange the folders"


def named_columns(task: Task, role: str) -> set[str]:
    file = task.source.files.get(task.splits[role])
    return {name for name in file.columns.values() if isinstance(name, str)} if file else set()


def cut_off(path: Path, rows: Rows) -> str:
    """Says that a file ends in the middle: it is short of rows, and of the newline at its end."""
    if rows.official is None or len(rows) >= rows.official:
        return ""
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) == b"\n":
            return ""
    return f"{path.name} ends without a newline after {len(rows):,} of {rows.official:,} rows: it is cut off"
