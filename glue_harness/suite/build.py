"""Builders: the three shapes that nearly every task has, each declared in about ten lines.

What a builder does not name itself, such as `source`, `demo` or `place`, is a field of `core.task.Task`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from glue_harness.core.errors import RowError
from glue_harness.core.task import HIDDEN, Example, Gold, Metric, Pair, Row, Task, Text, View

Fields = Sequence[str] | Mapping[str, str]  # names in T5's order, or T5's name -> Hub column
Read = Sequence[str] | View | None  # by models with heads: one or two columns, or a view of its own


def template(prefix: str, fields: Fields) -> tuple[tuple[str, ...], Callable[[Row], str]]:
    """The fields' columns, and T5's generic input: the prefix, then ` name: value` for each, values untouched."""
    columns = dict(fields) if isinstance(fields, Mapping) else {name: name for name in fields}

    def fill(row: Row) -> str:
        return prefix + "".join(f" {name}: {text_of(row, column)}" for name, column in columns.items())

    return tuple(columns.values()), fill


def text_of(row: Row, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        raise RowError(f"column {column!r} must be text, not {value!r}")
    return value


def texts_of(row: Row, column: str) -> list[str]:
    value = row.get(column)
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise RowError(f"column {column!r} must be a list of texts, not {value!r}")
    return list(value)


def view(head: str, read: Read, asked: Sequence[str], **details: Any) -> View:
    """What a task says of it itself, or its columns one by one: the first, and beside it the others, if any."""
    if isinstance(read, View):
        return read
    names = tuple(read or asked)

    def pairs(example: Example) -> list[Pair]:
        first, *others = names
        beside = " ".join(text_of(example.fields, column) for column in others)
        return [Pair(text_of(example.fields, first), beside if others else None)]

    return View(head, pairs, **details)


def key_of(text: str) -> str:
    """A text in twelve characters, to be kept beside an answer: examples of the same text are one cluster."""
    return sha256(text.encode()).hexdigest()[:12]


def label_name(labels: Sequence[str], value: Any) -> str:
    """The word for a label id; -1 means that the label is not public."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < len(labels):
        allowed = ", ".join(f"{k}={name}" for k, name in enumerate(labels))
        raise RowError(f"label {value!r} is not allowed: {allowed}, -1=hidden")
    return HIDDEN if value == -1 else labels[value]


def label_id(labels: Sequence[str], target: str) -> int:
    """The id that T5 compares for a target string: its place in the label list, -1 when hidden."""
    if target == HIDDEN:
        return -1
    if target not in labels:
        raise RowError(f"target {target!r} is not a label: {', '.join(labels)}")
    return labels.index(target)


def classify(
    name: str,
    *,
    fields: Fields,
    labels: Sequence[str],
    metrics: Sequence[Metric],
    read: Read = None,
    prefix: str | None = None,
    clean: Callable[[str], str] = lambda text: text,
    info: Callable[[Row], Mapping[str, Any]] = lambda row: {},
    group: Callable[[Mapping[str, Any]], Any] = lambda info: None,
    cluster: Callable[[Mapping[str, Any]], Any] = lambda info: None,
    **details: Any,
) -> Task:
    """A task whose answer is one of a few words. T5 looks an answer up as it stands: no strip, no case folding."""
    labels, ids = tuple(labels), {label: k for k, label in enumerate(labels)}
    columns, fill = template(prefix or name, fields)

    def encode(row: Row) -> list[Text]:
        return [Text(clean(fill(row)), label_name(labels, row.get("label")), info(row))]

    return Task(
        name=name,
        kind="classify",
        columns=columns,
        encode=encode,
        gold=lambda target, info: Gold(label_id(labels, target), group(info), cluster(info)),
        decode=lambda text, example: ids.get(text),
        metrics=tuple(metrics),
        view=view("label", read, columns),
        labels=labels,
        choices=labels,
        **details,
    )


def regress(
    name: str,
    *,
    fields: Fields,
    metrics: Sequence[Metric],
    write: Callable[[float], str],
    choices: Sequence[str],
    read: Read = None,
    prefix: str | None = None,
    **details: Any,
) -> Task:
    """A task whose answer is a number, written as text by `write`."""
    columns, fill = template(prefix or name, fields)

    def encode(row: Row) -> list[Text]:
        value = row.get("label")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RowError(f"label {value!r} is not a number")
        return [Text(fill(row), write(value))]

    return Task(
        name=name,
        kind="regress",
        columns=columns,
        encode=encode,
        gold=lambda target, info: Gold(float(target)),
        decode=lambda text, example: parse_number(text),
        view=view("number", read, columns, gold=number_of, columns=("label",)),
        metrics=tuple(metrics),
        choices=tuple(choices),
        **details,
    )


def number_of(example: Example) -> float:
    """The label as it was given, where T5 rounds it to write it; a question without one has what T5 would write."""
    return float(example.fields.get("label", example.target))


def parse_number(text: str) -> float | None:
    """A number as Python reads it: T5 checks no range, and takes `nan` and `1_0`."""
    try:
        return float(text)
    except ValueError:
        return None


def generate(name: str, *, columns: Sequence[str], metrics: Sequence[Metric], **details: Any) -> Task:
    """A task whose answer is free text: read as it stands, and right if it is the target, unless `details` say more."""
    usual = {"gold": lambda target, info: Gold(target), "decode": lambda text, example: text}
    return Task(name=name, kind="generate", columns=tuple(columns), metrics=tuple(metrics), **usual | details)
