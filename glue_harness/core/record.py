"""A run's record: it stands alone, so that a number is never seen without its evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import UnionType
from typing import Any, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from glue_harness.core import html
from glue_harness.core.errors import DataError

Check = Callable[[Any], bool]
SCHEMA = 1
LARGEST = 1e15  # of a number: sums and means of such stay numbers


class Split(TypedDict, total=False):
    """What is known of the rows of one split; there may be more of it."""

    rows: int
    official: int | None
    fingerprint: str | None
    examples: int  # that the rows became
    tokens: int  # of these examples, as the model read them
    cut: int  # examples that were longer than the plan allows
    lost: int  # tokens that were cut off them


class Selection(TypedDict, total=False):
    """The rows that choose a task's best step."""

    split: str
    examples: int


class Clean(TypedDict, total=False):
    """A score without the rows that have a text, in normal form (`data/texts.py`), of a row that was trained on."""

    rows: int  # of the split, all of them
    shared: int  # rows that are left out here
    whole: int  # of these, rows all of whose texts stand together in one row that was trained on
    n: int  # examples that are left
    metrics: dict[str, float | None]  # x100; empty where no row is left out; None where undefined


class EarlyEnd(TypedDict):
    """Where and why a run ended before the last step of its plan."""

    step: int
    why: str


class Environment(TypedDict, total=False):
    """Versions, device, threads, precision, and these."""

    commit: str | None
    dirty: bool | None
    job: str  # of torchrun, which may restart it
    processes: int  # that carried the run out together; earlier versions had one
    waiting: float  # of several: the share of training in which they exchanged gradients and waited, on average
    model: dict[str, Any]  # what it was loaded from, and the earlier run if that was one
    teacher: dict[str, Any]  # the same of the model whose answers it learned, with a fingerprint of its weights


@dataclass
class Score:
    """How one task was answered, at the step that was best for it."""

    split: str
    step: int
    metrics: dict[str, float | None]  # x100; None where undefined
    intervals: dict[str, tuple[float | None, float | None]]  # 95 %, over examples
    n: int
    invalid: int
    common_invalid: list[tuple[str, int]]  # the most frequent invalid answers and their counts
    clean: Clean | None = None  # None: not looked at, as by earlier versions
    # The same metrics of one constant answer to the same examples: the most frequent label, or the mean.
    baseline: dict[str, float | None] = field(default_factory=dict)
    # The same metrics of all right answers, where a known share of the labels that are scored against is wrong.
    ceiling: dict[str, float | None] = field(default_factory=dict)
    constant: str | None = None  # the model's answer, if it gave the same one to every example
    without_luck: dict[str, float | None] = field(default_factory=dict)  # of choosing the step; {}: not known


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
    data: dict[str, dict[str, Split]] = field(default_factory=dict)  # task -> role -> rows, origin, fingerprint
    mix: dict[str, dict[str, float | None]] = field(default_factory=dict)  # task -> probability, examples, epochs
    selected_on: dict[str, Selection] = field(default_factory=dict)  # task -> what chose its step
    parameters: dict[str, int] = field(default_factory=dict)  # total, trainable
    environment: Environment = field(default_factory=Environment)
    timing: dict[str, float | None] = field(default_factory=dict)
    stopped: EarlyEnd | None = None  # None: after the last step of its plan
    resumed: list[int] = field(default_factory=list)  # the steps it went on from
    skipped: list[int] = field(default_factory=list)  # the steps whose update was not finite
    notes: list[str] = field(default_factory=list)  # whatever was not as asked
    tags: list[str] = field(default_factory=list)  # words of the user's to find it by
    note: str = ""  # what the user remarks
    kept: bool = False  # neither removed nor freed of its weights, unless that is forced
    error: str | None = None
    schema: int = SCHEMA

    @property
    def last_step(self) -> int:
        """Of a finished run."""
        return self.stopped["step"] if self.stopped else int(self.plan["steps"])

    @property
    def parents(self) -> dict[str, list[str]]:
        """The runs whose models it started from or keeps in fewer bits (`model`), and learned from (`teacher`)."""
        loaded = {"model": self.environment.get("model", {}), "teacher": self.environment.get("teacher", {})}
        found = {}
        for role, facts in loaded.items():
            named = str(self.plan.get(role) or "")
            asked = named.removeprefix("run:").partition("@")[0] if named.startswith("run:") else None
            found[role] = [run for run in dict.fromkeys((facts.get("run"), asked)) if isinstance(run, str) and run]
        return found

    def to_dict(self) -> dict[str, Any]:
        """With `parents`, for whoever reads the file; a record that is read finds them out again."""
        return {**dataclasses.asdict(self), "parents": self.parents}

    def _repr_html_(self) -> str:
        """What a notebook shows of it: its scores, and what they rest on."""
        head = ("task", "metric", "score", "95 % interval", "without luck", "baseline", "examples", "best step")
        rows = []
        for task, score in self.scores.items():
            for key, value in score.metrics.items():
                low, high = score.intervals.get(key) or (None, None)
                between = "" if low is None else f"{low:.2f} to {high:.2f}"
                beside = (value, score.without_luck.get(key), score.baseline.get(key))
                first, *others = ("" if number is None else f"{number:.2f}" for number in beside)
                rows.append((task, key, first, between, *others, str(score.n), str(score.step)))
        title = " ".join([self.id, self.status, *self.tags])
        return html.shown(title, [html.table(head, rows)] if rows else [], [*filter(None, [self.note]), *self.notes])


def record_from(values: Any) -> Record:
    """A record from JSON. Anything that is not one is refused by name, so that a reader can go on."""
    if not isinstance(values, dict) or not {"id", "plan", "digest", "schema"} <= values.keys():
        raise DataError("it is not a record of glue")
    if values["schema"] != SCHEMA:
        raise DataError(f"its schema is {values['schema']!r}, not {SCHEMA}: written by another version of glue")
    known = {f.name for f in dataclasses.fields(Record)}
    try:
        record = Record(**{key: value for key, value in values.items() if key in known})
        for found in (record.scores, record.last):
            found.update({task: _score(score) for task, score in found.items()})
        of_its_types(record)
    except (TypeError, AttributeError) as error:
        raise DataError(f"it is not a complete record: {error}") from None
    return record


def _score(values: Any) -> Score:
    return of_its_types(Score(**values))


def of_its_types(made: Any) -> Any:
    """The same dataclass instance, if every value in it has the declared type."""
    # mypy looks for the hash of a class in its instances
    for name, fits in _checks(type(made)).items():  # type: ignore[arg-type]
        if not fits(getattr(made, name)):
            raise TypeError(f"{name} is not {get_type_hints(type(made))[name]}")
    return made


@cache
def _checks(declared: type) -> dict[str, Check]:
    return {name: _check(hint) for name, hint in get_type_hints(declared).items()}


def _check(hint: Any) -> Check:
    """Whether a value of JSON has a type, all the way down. JSON writes some floats as integers, tuples as lists."""
    if hint is Any:
        return lambda value: True
    if hint in (int, float):
        kinds = (int,) if hint is int else (int, float)
        return lambda value: type(value) in kinds and abs(value) <= LARGEST
    if is_typeddict(hint):
        known = _checks(hint)
        return lambda value: type(value) is dict and all(known[key](value[key]) for key in known if key in value)
    origin, inner = get_origin(hint), [_check(part) for part in get_args(hint)]
    if origin is UnionType:
        return lambda value: any(fits(value) for fits in inner)
    if origin is dict:
        return lambda value: type(value) is dict and all(map(inner[1], value.values()))
    if origin is list:
        return lambda value: type(value) is list and all(map(inner[0], value))
    if origin is tuple:
        return lambda value: (
            type(value) in (list, tuple)
            and len(value) == len(inner)
            and all(fits(item) for fits, item in zip(inner, value, strict=True))
        )
    return lambda value: isinstance(value, hint)
