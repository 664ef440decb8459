"""Builders: the three shapes that nearly every task has, each declared in about ten lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glue_harness.core.errors import RowError
from glue_harness.core.task import HIDDEN, Example, Gold, Metric, Row, Source, Task, Text

Fields = Sequence[str] | Mapping[str, str]  # names in T5's order, or T5's name -> Hub column


def template(prefix: str, fields: Fields) -> Callable[[Row], str]:
    """T5's generic input: the prefix, then ` name: value` for every field, values untouched."""
    columns = dict(fields) if isinstance(fields, Mapping) else {name: name for name in fields}

    def fill(row: Row) -> str:
        return prefix + "".join(f" {name}: {text_of(row, column)}" for name, column in columns.items())

    return fill


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


def exact_label(labels: Sequence[str]) -> Callable[[str, Example], int | None]:
    """T5 looks an answer up as it stands: no strip, no case folding."""
    ids = {name: k for k, name in enumerate(labels)}
    return lambda text, example: ids.get(text)


def classify(
    name: str,
    *,
    fields: Fields,
    labels: Sequence[str],
    source: Source,
    metrics: Sequence[Metric],
    prefix: str | None = None,
    clean: Callable[[str], str] = lambda text: text,
    info: Callable[[Row], Mapping[str, Any]] = lambda row: {},
    group: Callable[[Mapping[str, Any]], Any] = lambda info: None,
    **details: Any,
) -> Task:
    """A task whose answer is one of a few words."""
    labels = tuple(labels)
    fill = template(prefix or name, fields)
    columns = tuple(fields.values() if isinstance(fields, Mapping) else fields)

    def encode(row: Row) -> list[Text]:
        return [Text(clean(fill(row)), label_name(labels, row.get("label")), info(row))]

    return Task(
        name=name,
        kind="classify",
        source=source,
        columns=columns,
        encode=encode,
        gold=lambda target, info: Gold(label_id(labels, target), group(info)),
        decode=exact_label(labels),
        metrics=tuple(metrics),
        labels=labels,
        choices=labels,
        **details,
    )


def regress(
    name: str,
    *,
    fields: Fields,
    source: Source,
    metrics: Sequence[Metric],
    write: Callable[[float], str],
    choices: Sequence[str],
    prefix: str | None = None,
    **details: Any,
) -> Task:
    """A task whose answer is a number, written as text by `write`."""
    fill = template(prefix or name, fields)
    columns = tuple(fields.values() if isinstance(fields, Mapping) else fields)

    def encode(row: Row) -> list[Text]:
        value = row.get("label")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RowError(f"label {value!r} is not a number")
        return [Text(fill(row), write(value))]

    return Task(
        name=name,
        kind="regress",
        source=source,
        columns=columns,
        encode=encode,
        gold=lambda target, info: Gold(float(target)),
        decode=lambda text, example: parse_number(text),
        metrics=tuple(metrics),
        choices=tuple(choices),
        **details,
    )


def parse_number(text: str) -> float | None:
    """A number as Python reads it: T5 checks no range, and takes `nan` and `1_0`."""
    try:
        return float(text)
    except ValueError:
        return None


def generate(
    name: str,
    *,
    columns: Sequence[str],
    encode: Callable[[Row], Sequence[Text]],
    source: Source,
    metrics: Sequence[Metric],
    gold: Callable[[str, Mapping[str, Any]], Gold] = lambda target, info: Gold(target),
    decode: Callable[[str, Example], Any] = lambda text, example: text,
    **details: Any,
) -> Task:
    """A task whose answer is free text."""
    return Task(
        name=name,
        kind="generate",
        source=source,
        columns=tuple(columns),
        encode=encode,
        gold=gold,
        decode=decode,
        metrics=tuple(metrics),
        **details,
    )
