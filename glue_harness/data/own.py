"""A user's own: rows that ask for the answer (JSON lines, or a tab-separated table with a header), and plain text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from glue_harness.core.errors import DataError, RowError, UsageError
from glue_harness.core.reading import lines_of
from glue_harness.core.task import Example, Row, Task
from glue_harness.data.folder import read_paragraphs
from glue_harness.data.lines import BOM, json_row
from glue_harness.data.rows import Unchecked, encode
from glue_harness.data.tables import fields, json_columns, typed

HELD_OUT = 20  # of so many paragraphs one, to score what is learned from the others


def question(task: Task, row: Row, number: int = 0) -> Example:
    """The one example of a row whose answer does not matter, be it there or not."""
    asked = {**row, **task.unanswered}
    texts = encode(task, asked)
    if not texts:
        raise RowError("it becomes no example: T5 drops such a row")
    return task.example(texts[0], str(number), task.fields(asked))


def questions(task: Task, lines: BinaryIO, name: str) -> list[Example]:
    """A question for every row of JSON lines or of a table; the first line tells which it is.

    What is wrong is named with its line.
    """
    found: list[Example] = []
    header: list[str] = []
    in_json = json_columns(task) & set(fields(task))
    for number, text in text_lines(lines, name):
        where, cells = f"{name}, line {number}", text.split("\t")
        if not header and not found and not text.lstrip().startswith("{"):
            header = cells
            continue
        if header and len(cells) != len(header):
            raise DataError(f"{where}: expected {len(header)} columns, found {len(cells)}")
        try:
            row = typed(dict(zip(header, cells, strict=True)), in_json) if header else json_row(text, where)
            found.append(question(task, row, len(found)))
        except RowError as error:
            raise DataError(f"{where}: {error}") from None
    if not found:
        raise DataError(f"{name} holds no row: give JSON lines, or a table with the header {', '.join(fields(task))}")
    return found


def text_lines(lines: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    for number, line in lines_of(lines, name):
        try:
            text = line.removeprefix(BOM).decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}, line {number}: not UTF-8: byte {error.start} of the line") from None
        if text.strip():
            yield number, text


def text_files(where: str) -> list[Path]:
    """The plain text that a user means: a file, or every .txt file in a folder; nothing is read."""
    path = Path(where)
    if path.is_file():
        return [path]
    if not where or not path.is_dir():
        raise UsageError(f"--text {where!r} is neither a file nor a folder of .txt files")
    found = sorted(path.rglob("*.txt"))
    if not found:
        raise UsageError(f"--text {where!r}: no .txt file in this folder")
    return found


def read_text(where: str, role: str | None = None) -> Unchecked:
    """A row for each paragraph, in the order of the files' names: all, or those that are trained on or held out."""
    paragraphs = read_paragraphs(text_files(where))
    if not paragraphs:
        raise DataError(f"text {where!r} is empty: it needs paragraphs, with a blank line between two")
    origin = f"text {Path(where).resolve().name}"
    if role is None:
        return Unchecked(paragraphs, origin)
    if len(paragraphs) < 2:
        raise DataError(f"text {where!r} is one paragraph: of which none can be held out; put blank lines between some")
    every = min(HELD_OUT, len(paragraphs))
    wanted = [row for k, row in enumerate(paragraphs) if (k % every == every - 1) == (role == "validation")]
    return Unchecked(wanted, f"{origin}, {'held out' if role == 'validation' else 'without what is held out'}")
