"""Tables with a header: CSV, TSV, JSON lines, parquet; and how their texts become the values of a row."""

from __future__ import annotations

import csv
import struct
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

from glue_harness.core.errors import DataError, RowError
from glue_harness.core.reading import LONGEST_LINE, json_value
from glue_harness.core.task import HIDDEN_LABEL, Row, Task
from glue_harness.data.lines import decoded_lines, text_lines

NumberedLine = tuple[int, str]
DELIMITERS = ",;\t"  # a spreadsheet writes semicolons where the comma is in numbers


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file, all texts: cells may be in double quotes, and have commas and line ends inside these."""
    return (row for _, row in csv_table(decoded_lines(path), str(path)))


def csv_table(lines: Iterator[NumberedLine], name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of a file's lines as they stand; each row with the number of its last line."""
    csv.field_size_limit(LONGEST_LINE)
    number, first = next(lines, (1, ""))
    all_lines = (line for _, line in chain([(number, first)], lines))
    reader = csv.reader(all_lines, delimiter=max(DELIMITERS, key=first.count), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not header:
                header = checked_header(name, cells)
            elif len(cells) != len(header):
                found = f"expected {len(header)} columns, found {len(cells)}"
                raise DataError(f"{name}, line {reader.line_num}: {found}: put cells that have commas in double quotes")
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: not CSV: {error}: is a double quote left open?") from None


def plain_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a tab-separated file: no character but tab and newline has a meaning, quotes neither."""
    return (row for _, row in plain_table(text_lines(path), str(path)))


def plain_table(lines: Iterator[NumberedLine], name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of a file's lines without their ends; each row with the number of its line."""
    header: list[str] = []
    for number, line in lines:
        cells = line.split("\t")
        if not header:
            header = checked_header(name, cells)
        elif len(cells) != len(header):
            raise DataError(f"{name}, line {number}: expected {len(header)} columns, found {len(cells)}")
        else:
            yield number, dict(zip(header, cells, strict=True))


def checked_header(name: str, names: list[str]) -> list[str]:
    twice = [column for k, column in enumerate(names) if column in names[:k]]
    if twice:
        raise DataError(f"{name}, line 1: column {twice[0]!r} stands there twice: is the first line a header?")
    return names


def fields(task: Task) -> list[str]:
    """The columns that a question is made of."""
    return [column for column in task.columns if column not in task.unanswered]


def in_schema(task: Task, rows: Iterator[dict[str, str]]) -> Iterator[Row]:
    """A table in a task's own columns: what is no text there is JSON; `idx` and hidden labels may be left out."""
    absent = {"label": str(HIDDEN_LABEL)} if "label" in task.needs else {}
    in_json = json_columns(task)
    for idx, row in enumerate(rows):
        try:
            yield {"idx": idx, **absent, **typed(row, in_json)}
        except RowError as error:
            raise DataError(f"row {idx + 1}: {error}") from None


def json_columns(task: Task) -> set[str]:
    """The columns that are no texts in the task's demo."""
    sample = task.demo(Random(0), 1)[0] if task.demo else {}
    return {name for name in task.columns if not isinstance(sample.get(name, ""), str)}


def typed(texts: Mapping[str, str], in_json: Collection[str]) -> dict[str, Any]:
    """Texts as a row: some columns are JSON."""
    row: dict[str, Any] = dict(texts)
    for name in row.keys() & in_json:
        try:
            row[name] = json_value(texts[name])
        except ValueError:
            raise RowError(f"column {name!r} must be JSON, not {texts[name]!r}") from None
    return row


def labelled(task: Task, rows: Iterator[Row]) -> Iterator[Row]:
    """Labels that are texts become what the Hub has: a word or a number is an id, a score is in single precision.

    What is no label stays as it is, for the check to refuse.
    """
    ids = {word: number for number, word in enumerate(task.labels)}
    for row in rows:
        text = row.get("label")
        if not isinstance(text, str) or "label" not in task.needs:
            yield row
        else:
            yield {**row, "label": label_of(task, ids, text)}


def label_of(task: Task, ids: Mapping[str, int], text: str) -> Any:
    try:
        if text in ids:
            return ids[text]
        number = float(text)
        if task.kind == "regress":
            return struct.unpack("f", struct.pack("f", number))[0]
        return int(number) if number.is_integer() else text
    except (ValueError, OverflowError):
        return text
