"""Files of answers that any system wrote. Which answer belongs to which row is found out in metrics/answers.py.

A format is one function here, from the lines of a file to answers, entered in FORMATS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from glue_harness.core.errors import DataError, unknown
from glue_harness.data.lines import decoded, json_row
from glue_harness.data.tables import NumberedLine, csv_table, plain_table

KEYS = ("id", "idx", "index")  # columns that name the row which is answered
ANSWERS = ("prediction", "answer", "label")  # columns that may hold the answer, the first of them does
OURS = "example"  # in the place of such a column: glue's own name of an example
WRITTEN_BY_RUNS = {"id", "target", "prediction", "info"}  # what a line in a run's folder has


class Answer(NamedTuple):
    """What a file says of one row."""

    where: str  # the file and its line
    text: str
    key: str | None = None  # which row; None: the one in the same place
    column: str = ""  # what the key is called in the file
    shares: Mapping[str, float] = {}  # choice -> share of probability
    is_invalid: bool = False  # the file itself says that this is no answer to the task


def read_answer_file(file: BinaryIO, name: str, kind: str | None = None) -> list[Answer]:
    """The answers in the order of the file. Without a `kind` its name's ending tells the format, or its first line."""
    lines = decoded(file, name)
    number, first = next(lines, (0, ""))
    if not number:
        raise DataError(f"{name} is empty: expected an answer to every row")
    if kind is not None and kind not in FORMATS:
        raise unknown("format", kind, FORMATS)
    found = list(FORMATS[kind or format_of(name, first)](chain([(number, first)], lines), name))
    if not found:
        raise DataError(f"{name} holds no answers: expected one to every row")
    return found


def format_of(name: str, first_line: str) -> str:
    """By the ending of a file's name; of one that says nothing, by what the first line looks like."""
    if kind := ENDINGS.get(Path(name).suffix.lower()):
        return kind
    if first_line.lstrip().startswith("{"):
        return "jsonl"
    for kind, separator in (("tsv", "\t"), ("csv", ",")):
        cells = {cell.strip(' "\r\n').lower() for cell in first_line.split(separator)}
        if cells & {*KEYS} and cells & {*ANSWERS}:
            return kind
    return "text"


def text_answers(lines: Iterator[NumberedLine], name: str) -> Iterator[Answer]:
    """A line is an answer, whatever stands there."""
    for number, line in lines:
        yield Answer(f"{name}, line {number}", line.rstrip("\r\n"))


def csv_answers(lines: Iterator[NumberedLine], name: str) -> Iterator[Answer]:
    return (answer_of(row, f"{name}, line {number}") for number, row in csv_table(lines, name))


def tsv_answers(lines: Iterator[NumberedLine], name: str) -> Iterator[Answer]:
    full = ((number, text) for number, line in lines if (text := line.rstrip("\r\n")))
    return (answer_of(row, f"{name}, line {number}") for number, row in plain_table(full, name))


def json_answers(lines: Iterator[NumberedLine], name: str) -> Iterator[Answer]:
    for number, line in lines:
        if line.strip():
            where = f"{name}, line {number}"
            yield answer_of(json_row(line, where), where)


def lm_eval_answers(lines: Iterator[NumberedLine], name: str) -> Iterator[Answer]:
    """The samples of lm-evaluation-harness: a row's number, and what was generated or how likely each choice is.

    The likeliest choice's number is the answer, as its tasks list their choices in the order of the labels.
    """
    for number, line in lines:
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        row = json_row(line, where)
        place, answers = row.get("doc_id"), row.get("filtered_resps")
        if type(place) is not int or not isinstance(answers, list) or not answers:
            raise DataError(f"{where}: no doc_id and filtered_resps: is this a file of lm_eval --log_samples?")
        if isinstance(answers[0], str) and len(answers) == 1:
            yield Answer(where, answers[0].strip(), str(place), "doc_id")
            continue
        try:  # log-probability, and whether greedy decoding gives the choice; later versions write both as texts
            likely = [float(logs) for logs, _ in answers]
        except (TypeError, ValueError):
            raise DataError(f"{where}: filtered_resps is neither a text nor a log-probability of each choice") from None
        if len(likely) < 2:
            raise DataError(f"{where}: one choice only: there is nothing that could be an answer")
        yield Answer(where, str(max(range(len(likely)), key=likely.__getitem__)), str(place), "doc_id")


FORMATS: dict[str, Callable[[Iterator[NumberedLine], str], Iterable[Answer]]] = {
    "text": text_answers,
    "csv": csv_answers,
    "tsv": tsv_answers,
    "jsonl": json_answers,
    "lm-eval": lm_eval_answers,
}
ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "jsonl"}


def answer_of(record: Mapping[str, Any], where: str) -> Answer:
    """One row of a table, or one object of JSON lines."""
    names = {name.strip().lower(): name for name in record}
    key = next((names[name] for name in KEYS if name in names), None)
    found = next((names[name] for name in ANSWERS if name in names), None)
    others = [name for name in record if name != key]
    if found is None and len(others) != 1:
        listed = ", ".join(map(repr, record))
        raise DataError(f"{where}: which column has the answers? call it {' or '.join(ANSWERS)}; found: {listed}")
    column = (key or "").strip().lower()
    shares = record.get("shares", record.get("scores"))
    return Answer(
        where,
        as_text(record[found or others[0]], where),
        None if key is None else as_key(record[key], where),
        OURS if record.keys() >= WRITTEN_BY_RUNS else column,
        shares if is_shares(shares) else {},
        record.get("valid") is False,
    )


def as_text(value: Any, where: str) -> str:
    """A cell or a value of JSON as a person writes it: labels may be words, numbers or booleans."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        raise DataError(f"{where}: an answer must be a text or a number, not {value!r}")
    return str(value)


def as_key(value: Any, where: str) -> str:
    """An id as one text: 3, 3.0 and "3" are the same; an idx of several numbers is JSON."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else as_text(value, where).strip()


def is_shares(value: Any) -> bool:
    return isinstance(value, dict) and all(type(share) in (int, float) for share in value.values())
