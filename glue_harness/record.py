"""A run's record: it stands alone, so that a number is never seen without its evidence."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, get_origin, get_type_hints

from glue_harness.errors import DataError

SCHEMA = 1


@dataclass
class Score:
    """How one task was answered, at the step that was best for it."""

    split: str
    step: int
    metrics: dict[str, float | None]  # x100; None where undefined
    intervals: dict[str, tuple[float, float]]  # 95 %, bootstrap over examples
    n: int
    invalid: int
    common_invalid: list[tuple[str, int]]  # the most frequent invalid answers and their counts


@dataclass
class Record:
    id: str
    plan: dict[str, Any]
    digest: str  # of the plan without its seed
    stage: str = ""  # its part in a strategy
    status: str = "running"  # then finished, failed or interrupted
    started: str = ""  # ISO 8601, UTC
    seconds: float = 0.0
    scores: dict[str, Score] = field(default_factory=dict)  # task -> its score
    history: dict[str, list[tuple[int, dict[str, float | None]]]] = field(default_factory=dict)
    last: dict[str, Score] = field(default_factory=dict)  # the same at the last step
    data: dict[str, dict[str, Any]] = field(default_factory=dict)  # task -> split -> rows, origin, fingerprint
    mix: dict[str, dict[str, float]] = field(default_factory=dict)  # task -> probability, examples, epochs
    parameters: dict[str, int] = field(default_factory=dict)  # total, trainable
    environment: dict[str, Any] = field(default_factory=dict)  # versions, device, threads, precision, commit
    timing: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # whatever was not as asked
    error: str | None = None
    schema: int = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def record_from(values: Any) -> Record:
    """A record from JSON. Anything that is not one is refused by name, so that a reader can go on."""
    if not isinstance(values, dict) or not {"id", "plan", "digest", "schema"} <= values.keys():
        raise DataError("it is not a record of glue")
    if values["schema"] != SCHEMA:
        raise DataError(f"its schema is {values['schema']!r}, not {SCHEMA}: written by another version of glue")
    known = {f.name for f in dataclasses.fields(Record)}
    try:
        record = _of_its_types(Record(**{key: value for key, value in values.items() if key in known}))
        record.scores = {task: _score(score) for task, score in record.scores.items()}
        record.last = {task: _score(score) for task, score in record.last.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"it is not a complete record: {error}") from None
    return record


def _score(values: dict[str, Any]) -> Score:
    score = _of_its_types(Score(**values))
    bounds = [bound for low, high in score.intervals.values() for bound in (low, high)]
    for value in (*score.metrics.values(), *bounds):
        if not isinstance(value, float | int | None):
            raise TypeError(f"{value!r} is not a number")
    return score


def _of_its_types(made: Any) -> Any:
    """The same dataclass instance, if every value has the declared type; JSON may write a float as an integer."""
    for name, hint in get_type_hints(type(made)).items():
        kind = float | int if hint is float else get_origin(hint) if get_origin(hint) in (dict, list) else hint
        if not isinstance(getattr(made, name), kind):
            raise TypeError(f"{name} is not {hint}")
    return made
