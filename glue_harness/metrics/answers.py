"""Answers of any system, read from JSON lines and brought into the metrics' terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from glue_harness.core.errors import DataError, RowError
from glue_harness.core.reading import lines_of
from glue_harness.core.task import HIDDEN, HIDDEN_LABEL, Prediction, Task, Text
from glue_harness.data.lines import json_object


def read_answers(task: Task, lines: BinaryIO, name: str) -> list[Prediction]:
    """Predictions from lines of {"target", "prediction", "example"}; blank lines are skipped."""
    found = []
    for number, line in lines_of(lines, name):
        where = f"{name}, line {number}"
        try:
            text = line.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: not UTF-8: {error.reason} at byte {error.start} of the line") from None
        if not text:
            continue
        record = json_object(text, where)
        for key in ("target", "prediction"):
            if not isinstance(record.get(key), str):
                wrong = f"must be text, not {record[key]!r}" if key in record else "is missing"
                raise DataError(f"{where}: {key!r} {wrong}")
        info = record.get("example", {})
        if not isinstance(info, dict):
            raise DataError(f"{where}: 'example' must be an object, not {info!r}")
        try:
            prediction = answered(task, record["target"], record["prediction"], info, str(number))
        except RowError as error:
            raise DataError(f"{where}: {error}") from None
        example = prediction.example
        if example.target == HIDDEN or example.label == HIDDEN_LABEL:  # also STS-B's "-1.0", and that of a referent
            raise DataError(f"{where}: the target {record['target']!r} hides its label: it cannot be scored")
        found.append(prediction)
    if not found:
        raise DataError(f'{name} is empty: expected lines of {{"target": ..., "prediction": ...}}')
    return found


def answered(task: Task, target: str, text: str, info: Mapping[str, Any], id: str) -> Prediction:
    """A prediction made of strings alone; a target that the task cannot read is a `RowError`."""
    try:
        return task.prediction(task.example(Text("", target, info), id, {}), text)
    except KeyError as error:
        raise RowError(f"'example' has no {error}, which scoring {task.name} needs") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise RowError(f"it does not fit task {task.name}: {error}") from None


def invalid_answers(predictions: Sequence[Prediction]) -> Counter[str]:
    """The texts that were no valid answer, and how often each was given."""
    return Counter(p.text for p in predictions if p.label is None)
