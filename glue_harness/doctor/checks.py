"""Checks of one split: a function in `CHECKS`, whose name is the check's, makes state, text and fix of its findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from glue_harness.core.task import HIDDEN_LABEL, Row, Task
from glue_harness.data import Rows
from glue_harness.doctor import FAIL, OK, WARN

FEW, MANY = 50, 1000  # below: too few to judge; from here on: every cue should be plain to see
CLEAR = 3  # standard errors
BROKEN = 40  # rows: an official file may have some, where a question spans two lines
NAMED = 3  # duplicates
Findings = Iterator[tuple[str, ...]]  # state, text, and a fix if there is one


class ReadSplit(NamedTuple):
    """One split, with every row as each of its tasks reads it; the first task's reading is what is compared."""

    split: str  # the Hub's name
    role: str
    task: Task
    rows: Rows
    sample: Sequence[Row]  # some rows from everywhere
    path: Path | None  # the text file that holds it
    inputs: Sequence[frozenset[int]]  # hashes, row by row
    answers: Counter  # label -> rows; -1 is hidden, None a text of its own
    shown: int  # rows whose answer is not hidden
    errors: Mapping[str, list[str]]  # task -> why rows cannot be its examples
    seen: Mapping[str, set[int]]  # split before this one -> hashes of its inputs


def encoding(read: ReadSplit) -> Findings:
    """Every row must become examples."""
    for name, errors in read.errors.items():
        if errors:
            text = f"{len(errors):,} of {len(read.rows):,} rows cannot be examples of {name!r}, {errors[0]}"
            yield FAIL, text, f"replace the rows: {as_they_should_be(read.task, name)}"


def as_they_should_be(task: Task, name: str = "") -> str:
    """Where to see right rows; what is not on the Hub is the user's own."""
    if task.source.hub:
        return f"glue show {name or task.name} --data hub shows the rows as they should be"
    labels = f"; labels: {', '.join(task.labels)}" if task.labels else ""
    return f"each row needs the columns {', '.join(task.needs)}{labels}"


def file(read: ReadSplit) -> Findings:
    """A file that ends in the middle is short of rows, and of the newline at its end."""
    if read.path and read.rows.official is not None and len(read.rows) < read.rows.official:
        with read.path.open("rb") as content:
            content.seek(-1, 2)
            if content.read(1) != b"\n":
                text = f"after {len(read.rows):,} of {read.rows.official:,} rows: it is cut off"
                fix = "download the file again, or end a subset with a newline"
                yield FAIL, f"{read.path.name} ends without a newline {text}", fix


def rows(read: ReadSplit) -> Findings:
    """Official row counts; a subset is not wrong, but a score on it is another number."""
    notes = read.rows.notes or [f"{len(read.rows):,} rows"]
    text = notes[0] if len(notes) == 1 else f"{notes[0]}, and {len(notes) - 1:,} more like it"
    if len(notes) > BROKEN:
        yield FAIL, text, "take the official file: it has fewer broken rows"
    else:
        yield WARN if read.rows.notes else OK, text


def labels(read: ReadSplit) -> Findings:
    """Every label must occur."""
    names, shown = read.task.labels, read.shown
    if not (names and "label" in read.task.needs and shown) or read.split in read.task.source.hidden:
        return
    shares = ", ".join(f"{read.answers[k] / shown:.0%} {name}" for k, name in enumerate(names))
    absent = [name for k, name in enumerate(names) if not read.answers[k]]
    if absent:
        fix = "shuffle before you cut a subset, or take the official file"
        yield WARN if shown < FEW else FAIL, f"no row is {' or '.join(absent)}: {shares}", fix
    else:
        yield OK, shares


def answers(read: ReadSplit) -> Findings:
    """Answers must be there to train and to score, and must not be where the official split hides them."""
    all_rows = f"{len(read.inputs):,} rows"
    values = [value for value in read.answers if value != HIDDEN_LABEL]
    if read.role != "test":
        if lacking := read.answers[HIDDEN_LABEL]:
            fix = "it looks like a test file: put the right one here"
            yield FAIL, f"{lacking:,} of {all_rows} have no answer", fix
    elif read.split not in read.task.source.hidden:
        return
    elif not read.shown:
        yield OK, "answers hidden"
    elif len(values) == 1 and values != [None]:
        text = f"every label is {values[0]!r}: a placeholder? the official answers are not public"
        yield WARN, text, "write -1, or leave the label out"
    else:
        text = f"{read.shown:,} of {all_rows} have an answer, but the official ones are not public"
        yield FAIL, text, "it may be another split: put the official test file here"


def columns(read: ReadSplit) -> Findings:
    """Columns of text must hold words."""
    for column in read.task.columns:
        values = [row[column] for row in read.sample if isinstance(row[column], str)]
        wordless = sum(not any(map(str.isalpha, value)) for value in values)
        if wordless > len(read.sample) / 2:
            text = f"column {column!r} holds no words in {wordless:,} of {len(read.sample):,} rows looked at"
            yield FAIL, text, "columns are exchanged: compare the header with the rows"


def content(read: ReadSplit) -> Findings:
    """What the task's cues say; the rows of a demo are made up and need not show any."""
    if read.rows.origin == "demo" or len(read.sample) < FEW:
        return
    cues = [cue for cue in read.task.cues if not (cue.labelled and read.answers[HIDDEN_LABEL])]
    order = ", ".join(f"{k}={name}" for k, name in enumerate(read.task.labels))
    clear = 0
    for cue in cues:
        strength = cue.strength(read.sample)
        clear += strength > CLEAR
        exchanged = f"labels are exchanged ({order}), or " if cue.labelled and order else ""
        fix = f"{exchanged}columns are exchanged, or it is another task's file"
        if strength < -CLEAR:
            yield FAIL, f"{cue.says}: the opposite is so, by {-strength:.0f} standard errors", fix
        elif strength < CLEAR and len(read.sample) >= MANY:
            yield WARN, f"{cue.says}: this cannot be seen here", f"if {fix}: repair it"
    if clear:
        yield OK, f"{clear} of {len(cues)} cues plain to see"


def duplicates(read: ReadSplit) -> Findings:
    """Inputs that are in more than one split: a score on rows that were trained on is memory."""
    for split, theirs in read.seen.items():
        numbers = [number for number, inputs in enumerate(read.inputs, 1) if inputs & theirs]
        if len(numbers) <= allowed(len(read.inputs)):
            yield OK, f"{len(numbers) or 'none'} also in {split}"
        else:
            first = ", ".join(map(str, numbers[:NAMED]))
            fix = f"take both splits again from one official download: rows {first} are the first"
            yield FAIL, f"{len(numbers):,} of {len(read.inputs):,} rows are also in {split}", fix


def allowed(rows: int) -> int:
    """How many duplicates may be: the official splits of CoLA share up to 19 with each other, those of STS-B 7."""
    return max(min(20, rows // 50), rows // 1000)


CHECKS = (encoding, file, rows, labels, answers, columns, content, duplicates)
