"""A task file for a table of a user's own, after looking at its columns and its labels."""

from __future__ import annotations

import math
import pprint
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glue_harness.core.errors import DataError, UsageError, unknown
from glue_harness.data.folder import TABLES, table_rows

LABEL_NAMES = ("label", "labels", "class", "category", "target", "answer", "gold", "score", "rating", "sentiment")
NUMBERING = ("id", "idx", "index", "guid", "uid", "")  # columns that number rows
MOST_LABELS = 20  # words: a column with more different ones is free text
ANSWERS_ON_A_SCALE = 20  # at least so many numbers can be answered, or all there are
SPLITS = {"validation": ("validation", "dev", "val", "valid", "eval"), "test": ("test",)}

CLASSIFY = '''"""{title}"""

from glue_harness.core.task import File, Source
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify

# The task's name for a column: its name in the files.
COLUMNS = {columns}

TASK = classify(
    {name!r},
    fields={fields},  # in the order in which a model reads them
    labels={labels},  # as a model answers them
    metrics=(accuracy,),
    source=Source({source}),
    splits={splits},
)
'''
REGRESS = '''"""{title}"""

from glue_harness.core.task import File, Source
from glue_harness.metrics import pearson, spearman
from glue_harness.suite.build import regress

# The task's name for a column: its name in the files.
COLUMNS = {columns}
# The numbers that a model can answer.
CHOICES = {labels}


def write(value: float) -> str:
    return min(CHOICES, key=lambda choice: abs(float(choice) - value))


TASK = regress(
    {name!r},
    fields={fields},  # in the order in which a model reads them
    write=write,
    choices=CHOICES,
    metrics=(pearson, spearman),
    source=Source({source}),
    splits={splits},
)
'''


@dataclass(frozen=True)
class Declared:
    """What was found in a table, and the task file that says so."""

    kind: str
    rows: int
    fields: tuple[str, ...]  # its columns that a model reads
    label: str
    shares: Mapping[str, float]  # of labels; of a scale nothing
    unread: tuple[str, ...]
    splits: Mapping[str, str]  # role -> file that is there
    text: str


def declare(name: str, table: Path, label: str | None, splits: Mapping[str, Path]) -> Declared:
    """Looks at all rows of the training table; other splits must have its columns, and only test may lack labels."""
    columns, rows, values = columns_of(table, label)
    label = label or label_column(table, columns, values)
    fields = tuple(c for c in columns if c != label and c.lower() not in NUMBERING and values[c].words)
    if not fields:
        raise DataError(f"{table}: no column beside {label!r} holds text: {', '.join(columns)}")
    answers = values[label]
    if answers.empty:
        raise DataError(f"{table}, row {answers.empty}: column {label!r} is empty: every row to train on needs a label")
    names = {c: c if c != "label" else "label of the table" for c in fields}
    files = {"train": table, **{role: path for role in SPLITS if (path := splits.get(role) or beside(table, role))}}
    hidden = {role for role, path in files.items() if not has_columns(path, [*fields, label], role)}
    is_scale = answers.numbers and (len(answers.counts) > MOST_LABELS or any(not n.is_integer() for n in answers.range))
    if not is_scale and not 2 <= len(answers.counts) <= MOST_LABELS:
        raise DataError(
            f"{table}: column {label!r} has {answers.distinct} different texts: a task file with labels has 2 to "
            f"{MOST_LABELS}; name another column with --label, or write the file as docs/tasks.md shows"
        )
    if not is_scale and (odd := [word for word in answers.counts if word != " ".join(word.split())]):
        raise DataError(f"{table}: label {odd[0]!r} has white space too much, which no model answers: take it out")
    choices = scale(*answers.range) if is_scale else tuple(sorted(answers.counts, key=in_order))
    every = {"label": label} | {names[c]: c for c in fields}
    text = (REGRESS if is_scale else CLASSIFY).format(
        title=f"{name}: {label} of {', '.join(fields)}, from {table.name}".replace("\\", "/").replace('"', "'"),
        columns=laid_out(every),
        name=name,
        fields=laid_out(tuple(names.values())),
        labels=laid_out(choices),
        source=source_of(files, hidden),
        splits={role: role for role in ("train", "validation", *(["test"] if "test" in files else []))},
    )
    total = sum(answers.counts.values())
    shares = {} if is_scale else {word: answers.counts[word] / total for word in choices}
    unread = tuple(c for c in columns if c not in (*fields, label))
    kind = "regress" if is_scale else "classify"
    return Declared(kind, rows, fields, label, shares, unread, {r: p.name for r, p in files.items()}, text)


class Values:
    """What the cells of a column are; different texts are counted up to a bound."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.distinct = "more than 10,000"
        self.empty = 0  # the first row without a value
        self.words = False
        self.numbers = True
        self.range = (math.inf, -math.inf)

    def take(self, number: int, value: Any) -> None:
        text = "" if value is None else str(value)
        if not text.strip():
            self.empty = self.empty or number
            return
        self.words = self.words or (isinstance(value, str) and any(map(str.isalpha, text)))
        if len(self.counts) < 10_000 or text in self.counts:
            self.counts[text] += 1
        try:
            found = float(text)
            self.numbers = self.numbers and math.isfinite(found)
            self.range = (min(self.range[0], found), max(self.range[1], found))
        except ValueError:
            self.numbers = False


def columns_of(table: Path, label: str | None) -> tuple[list[str], int, dict[str, Values]]:
    """The columns, how many rows there are, and what is in them."""
    if table.suffix not in TABLES:
        raise UsageError(f"--from {table.name!r}: give a table with a header: {', '.join(TABLES)}")
    if not table.is_file():
        raise UsageError(f"--from {str(table)!r}: there is no such file")
    values: dict[str, Values] = {}
    number = 0
    for number, row in enumerate(table_rows(table), 1):
        for column, value in row.items():
            values.setdefault(column, Values()).take(number, value)
    if not number:
        raise DataError(f"{table} has no rows below its header")
    for found in values.values():
        found.distinct = f"{len(found.counts):,}" if len(found.counts) < 10_000 else found.distinct
    if label is not None and label not in values:
        raise unknown("column", label, values)
    return list(values), number, values


def label_column(table: Path, columns: list[str], values: Mapping[str, Values]) -> str:
    """The column with a usual name, or the only one with few different values."""
    usual = [c for name in LABEL_NAMES for c in columns if c.lower() == name]
    few = [c for c in columns if c.lower() not in NUMBERING and 2 <= len(values[c].counts) <= MOST_LABELS]
    if not usual and len(few) != 1:
        raise UsageError(f"which column of {table.name} is the label? name it with --label: {', '.join(columns)}")
    return usual[0] if usual else few[0]


def beside(table: Path, role: str) -> Path | None:
    """The file of another split beside that of train: of the same kind, with a usual name, and what else train has.

    `train.csv` has `dev.csv` beside it, `reviews_train.csv` has `reviews_test.csv`.
    """
    if "train" not in table.stem:
        return None
    names = (table.name.replace("train", word) for word in SPLITS[role])
    return next((path for name in names if (path := table.with_name(name)).is_file()), None)


def has_columns(path: Path, wanted: list[str], role: str) -> bool:
    """Whether a file has all of them; a test file without its last one, the label, is told by False."""
    first = next(iter(table_rows(path)), None)
    if first is None:
        raise DataError(f"{path} has no rows below its header")
    lacking = [column for column in wanted if column not in first]
    if lacking and (role != "test" or lacking != wanted[-1:]):
        raise DataError(f"{path}: column {lacking[0]!r} is missing, found: {', '.join(first)}")
    return not lacking


def source_of(files: Mapping[str, Path], hidden: set[str]) -> str:
    """The files of the splits as code; where there is none for validation, the one that should be there."""
    names = {"train": files["train"].name, "validation": f"validation{files['train'].suffix}"}
    names |= {role: path.name for role, path in files.items()}
    unlabelled = '{name: column for name, column in COLUMNS.items() if name != "label"}'
    told = [
        f"{role!r}: File(({file!r},), {unlabelled if role in hidden else 'COLUMNS'})" for role, file in names.items()
    ]
    return f"files={{{', '.join(told)}}}" + (f", hidden={tuple(sorted(hidden))}" if hidden else "")


def laid_out(value: Any) -> str:
    return pprint.pformat(value, width=100, compact=True, sort_dicts=False)


def in_order(word: str) -> tuple[float, str]:
    """Numbers by their value, words after them by the alphabet."""
    try:
        return float(word), word
    except ValueError:
        return math.inf, word


def scale(low: float, high: float) -> tuple[str, ...]:
    """Numbers from the least to the largest value, in steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / ANSWERS_ON_A_SCALE
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.floor(low / step), math.ceil(high / step)
    return tuple(f"{k * step:.{digits}f}" for k in range(first, last + 1))
