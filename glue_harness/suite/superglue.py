"""What the SuperGLUE tasks share: one data set on the Hub, one layout of the official download."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from glue_harness.core.errors import RowError
from glue_harness.core.task import Row, Source, jsonl

BOOLEANS = ("False", "True")
Adapt = Callable[[Row], Iterable[Row]]


def source(config: str, folder: str, adapt: Adapt, hidden: tuple[str, ...] = ("test",), **rows: int) -> Source:
    """One task's part of SuperGLUE; `rows` names its Hub splits and their official sizes."""
    names = {"train": ("train.jsonl",), "validation": ("val.jsonl",), "test": ("test.jsonl", f"{folder}.jsonl")}
    return Source(
        hub="aps/super_glue",
        config=config,
        revision="3de24cf8022e94f4ee4b9d55a6f539891524d646",
        rows=rows,
        folder=folder,
        files={split: jsonl(*names[split]) for split in rows},
        adapt=adapt,
        hidden=hidden,
    )


def flat(*columns: str, labels: Sequence[str]) -> Adapt:
    """`Source.adapt` for records that are one row each: these columns, the row's number and its label."""

    def adapt(record: Row) -> Iterable[Row]:
        kept = {name: record[name] for name in (*columns, "idx") if name in record}
        yield {**kept, "label": official_label(record, labels)}

    return adapt


def official_label(record: Row, labels: Sequence[str]) -> Any:
    """The Hub's id for a word, a boolean or an id; what is none of them stays, for the encoder to name."""
    label = record.get("label", -1)
    return labels.index(str(label)) if str(label) in labels else label


def value_at(record: Any, *path: str) -> Any:
    """A value inside a nested record."""
    value = record
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            raise RowError(f"the record has no {'.'.join(path)!r}")
        value = value[name]
    return value


def group_number(record: Any, *path: str) -> int | str:
    """What numbers something inside a nested record; some files write it as text."""
    value = value_at(record, *path)
    if not isinstance(value, int | str):
        raise RowError(f"{'.'.join(path)!r} must be a number, not {value!r}")
    return value


def whole_number(record: Row, name: str) -> int:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RowError(f"column {name!r} must be a whole number, not {value!r}")
    return value
