"""Checks of one split. A check is a function in `CHECKS`: what was read -> findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from glue_harness.core.task import Row, Task
from glue_harness.data.checks import HIDDEN_LABEL
from glue_harness.data.rows import Rows
from glue_harness.doctor.finding import FAIL, OK, WARN, Finding

SAMPLE = 5000  # rows that content is judged by
FEW, MANY = 50, 1000  # below: too few to judge; from here on: every cue should be plain to see
CLEAR = 3  # standard errors
BROKEN = 40  # rows: an official file may have some, where a question spans two lines


@dataclass(frozen=True)
class Reading:
    """One split, read."""

    where: str
    split: str  # the Hub's name
    role: str
    task: Task
    rows: Rows
    inputs: Sequence[frozenset[int]]  # hashes, row by row
    answers: Counter  # label -> rows; -1 is hidden, None a text of its own

    @property
    def shown(self) -> int:
        """Rows whose answer is not hidden."""
        return len(self.inputs) - self.answers[HIDDEN_LABEL]

    @cached_property
    def sample(self) -> Sequence[Row]:
        """Some rows from everywhere."""
        return self.rows[:: -(-len(self.rows) // SAMPLE)]


def counts(reading: Reading) -> Iterator[Finding]:
    """Official row counts; a subset is not wrong, but a score on it is another number."""
    notes = reading.rows.notes
    if not notes:
        yield Finding(reading.where, "rows", OK, f"{len(reading.rows):,} rows")
        return
    text = notes[0] if len(notes) == 1 else f"{notes[0]}, and {len(notes) - 1:,} more like it"
    if len(notes) <= BROKEN:
        yield Finding(reading.where, "rows", WARN, text)
    else:
        yield Finding(reading.where, "rows", FAIL, text, "take the official file: it has fewer broken rows")


def labels(reading: Reading) -> Iterator[Finding]:
    """Every label must occur."""
    names, shown = reading.task.labels, reading.shown
    if not (names and "label" in reading.task.needs and shown) or reading.split in reading.task.source.hidden:
        return
    shares = ", ".join(f"{reading.answers[k] / shown:.0%} {name}" for k, name in enumerate(names))
    absent = [name for k, name in enumerate(names) if not reading.answers[k]]
    if not absent:
        yield Finding(reading.where, "labels", OK, shares)
        return
    state = WARN if shown < FEW else FAIL
    fix = "shuffle before you cut a subset, or take the official file"
    yield Finding(reading.where, "labels", state, f"no row is {' or '.join(absent)}: {shares}", fix)


def hidden(reading: Reading) -> Iterator[Finding]:
    """Answers must be there to train and to score, and must not be where the official split hides them."""
    if reading.role != "test":
        if lacking := reading.answers[HIDDEN_LABEL]:
            text = f"{lacking:,} of {len(reading.inputs):,} rows have no answer"
            yield Finding(reading.where, "answers", FAIL, text, "it looks like a test file: put the right one here")
        return
    if reading.split not in reading.task.source.hidden:
        return
    if not reading.shown:
        yield Finding(reading.where, "answers", OK, "answers hidden")
        return
    values = [value for value in reading.answers if value != HIDDEN_LABEL]
    if len(values) == 1 and values != [None]:
        text = f"every label is {values[0]!r}: a placeholder? the official answers are not public"
        yield Finding(reading.where, "answers", WARN, text, "write -1, or leave the label out")
        return
    text = f"{reading.shown:,} of {len(reading.inputs):,} rows have an answer, but the official ones are not public"
    yield Finding(reading.where, "answers", FAIL, text, "it may be another split: put the official test file here")


def texts(reading: Reading) -> Iterator[Finding]:
    """Columns of text must hold words."""
    sample = reading.sample
    for column in reading.task.columns:
        values = [row[column] for row in sample if isinstance(row[column], str)]
        wordless = sum(not any(map(str.isalpha, value)) for value in values)
        if wordless > len(sample) / 2:
            text = f"column {column!r} holds no words in {wordless:,} of {len(sample):,} rows looked at"
            yield Finding(
                reading.where, "columns", FAIL, text, "columns are exchanged: compare the header with the rows"
            )


def content(reading: Reading) -> Iterator[Finding]:
    """What the task's cues say; the rows of a demo are made up and need not show any."""
    sample = reading.sample
    if reading.rows.origin == "demo" or len(sample) < FEW:
        return
    cues = [cue for cue in reading.task.cues if not (cue.labelled and reading.answers[HIDDEN_LABEL])]
    clear = 0
    for cue in cues:
        strength = cue.strength(sample)
        clear += strength > CLEAR
        order = ", ".join(f"{k}={name}" for k, name in enumerate(reading.task.labels))
        files = "columns are exchanged, or it is another task's file"
        fix = f"labels are exchanged ({order}), or {files}" if cue.labelled and order else files
        if strength < -CLEAR:
            text = f"{cue.says}: the opposite is so, by {-strength:.0f} standard errors"
            yield Finding(reading.where, "content", FAIL, text, fix)
        elif strength < CLEAR and len(sample) >= MANY:
            yield Finding(
                reading.where, "content", WARN, f"{cue.says}: this cannot be seen here", f"if {fix}: repair it"
            )
    if clear:
        yield Finding(reading.where, "content", OK, f"{clear} of {len(cues)} cues plain to see")


CHECKS = (counts, labels, hidden, texts, content)
