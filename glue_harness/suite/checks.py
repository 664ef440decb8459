"""What can be wrong with a task as it is declared, found when it is loaded: else it would score 0 in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

from glue_harness.core.names import SAFE_NAMES, is_safe_name
from glue_harness.core.task import HIDDEN, Metric, Source, Task

KINDS = ("classify", "regress", "generate")
ROLES = ("train", "validation", "test")
PARTS = ("member", "companion", "extra", "apart")


def fault(task: Task, others: Mapping[str, Task]) -> str | None:
    """The first thing that is wrong with a task, in words for its author."""
    try:
        return next((found for check in CHECKS for found in check(task, others)), None)
    except Exception as error:  # what a plugin declares may be of any type
        return f"a field has the wrong type: {type(error).__name__}: {error}"


def names(task: Task, others: Mapping[str, Task]) -> Iterator[str]:
    """Names become those of files: predictions are kept by task, leaderboards by suite."""
    if not is_safe_name(task.name):
        yield f"task name {task.name!r} cannot be a file name: {SAFE_NAMES}"
    if not is_safe_name(task.suite) or task.suite != task.suite.lower() or task.suite.endswith(("-all", "-demo")):
        yield f"suite {task.suite!r} cannot name a leaderboard: {SAFE_NAMES}, no capitals, no -all or -demo at its end"
    for twin in others:
        if twin != task.name and twin.casefold() == task.name.casefold():
            yield f"task name {task.name!r} differs from {twin!r} in case only, so one's files would be the other's"


CALLED = {"encode": ("row",), "gold": ("target", "info"), "decode": ("text", "example"), "demo": ("random", "n")}


def types(task: Task, others: Mapping[str, Task]) -> Iterator[str]:
    if not isinstance(task.source, Source):
        yield f"source is {task.source!r}: write Source(...), or Source() where rows come from folders only"
    for field, value, known in (("kind", task.kind, KINDS), ("part", task.part, PARTS)):
        if value not in known:
            yield f"{field} is {value!r}: it can be {', '.join(known)}"
    for field in CALLED:
        value = getattr(task, field)
        if not callable(value) and not (field == "demo" and value is None):
            yield f"{field} is {value!r}: it must be a function"
        elif value is not None:
            yield from not_taken(field, value, CALLED[field])
    for field in ("columns", "labels", "choices", "aliases", "scored_by"):
        yield from not_texts(field, getattr(task, field))


def not_taken(field: str, function: Callable[..., Any], names: tuple[str, ...]) -> Iterator[str]:
    """What a function says that cannot be called as it will be."""
    try:
        signature(function).bind(*names)
    except TypeError as error:
        yield f"{field} is called as {field}({', '.join(names)}), which it does not take: {error}"
    except ValueError:  # a builtin's signature may not be known
        return


def not_texts(field: str, values: Any) -> Iterator[str]:
    if not isinstance(values, tuple | list):
        yield f"{field} is {values!r}: it must be a tuple of texts"
    elif wrong := [value for value in values if not isinstance(value, str)]:
        yield f"{field} has {wrong[0]!r}, which is not text: write it as a model is to answer it, in quotes"


def columns(task: Task, others: Mapping[str, Task]) -> Iterator[str]:
    if not task.columns:
        yield "it reads no column: name those that a question is made of"
    yield from repeated("columns", task.columns)
    if task.kind != "generate" and "label" in task.columns:
        yield "its fields have 'label': the answer would stand in the question"


def answers(task: Task, others: Mapping[str, Task]) -> Iterator[str]:
    """A model's words have single spaces and none at their ends: a label with others can never be answered."""
    for field, values in (("labels", task.labels), ("choices", task.choices)):
        yield from repeated(field, values)
        plain: dict[str, str] = {}
        for value in values:
            folded = " ".join(value.split())
            if not folded:
                yield f"{field} has {value!r}: no model can answer with nothing"
            if value == HIDDEN:
                yield f"{field} has {HIDDEN!r}, which stands for an answer that is not public"
            if folded in plain:
                yield f"{field} {plain[folded]!r} and {value!r} differ in white space only: no answer tells them apart"
            if folded != value:
                yield f"{field} has {value!r}, with white space that a model's words have not: write {folded!r}"
            plain[folded] = value
    if task.kind == "classify" and len(task.labels) < 2:
        yield f"it has {len(task.labels)} labels: there is nothing to tell apart"
    if task.kind == "regress":
        yield from (f"choices have {choice!r}, which is no number" for choice in task.choices if not is_number(choice))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def metrics(task: Task, others: Mapping[str, Task]) -> Iterator[str]:
    """A task without metrics is only trained on, or answered; a metric without keys would score nothing."""
    for metric in task.metrics:
        if not isinstance(metric, Metric):
            yield f"metrics have {metric!r}: it must be a Metric, as glue_harness.metrics has them"
        if not metric.keys or isinstance(metric.keys, str):
            yield f"a metric has the keys {metric.keys!r}: name each value that it gives, as in ('accuracy',)"
        if not callable(metric.tally):
            yield f"metric {', '.join(metric.keys)} has the tally {metric.tally!r}: it must be a function"
        yield from not_taken("tally", metric.tally, ("predictions",))
    yield from repeated("metrics", task.keys)


def demo_noise(task: Task, others: Mapping[str, Task]) -> Iterator[str]:
    noise = task.demo_noise
    if noise is None:
        return
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < 1:
        yield f"demo_noise is {noise!r}: it is a share of the demo's rows, at least 0 and below 1"
    elif noise and ("label" not in (*task.needs, *task.columns) or len(task.labels or task.choices) < 2):
        yield f"demo_noise is {noise!r}, but its rows have no label that could be exchanged for another: leave it out"


def splits(task: Task, others: Mapping[str, Task]) -> Iterator[str]:
    """Every split must bring the columns that a row needs; only a test split may hide its labels."""
    if not task.splits:
        yield "it has no split: give its roles train, validation or test"
    for role, split in task.splits.items():
        if role not in ROLES:
            yield f"splits have {role!r}: a role is {', '.join(ROLES)}"
        if not isinstance(split, str) or not split:
            yield f"the {role} split is called {split!r}: it needs a name"
        file = task.source.files.get(split)
        if file and file.columns:  # else every record brings its own
            needed = [name for name in task.needs if name != "idx" and not (name == "label" and role == "test")]
            if lacking := [name for name in needed if name not in file.columns]:
                yield f"the file of its {role} split ({', '.join(file.names)}) has no column for {', '.join(lacking)}"


def repeated(field: str, values: tuple[str, ...]) -> Iterator[str]:
    twice = [value for k, value in enumerate(values) if value in values[:k]]
    if twice:
        yield f"{field} have {twice[0]!r} twice"


CHECKS: tuple[Callable[[Task, Mapping[str, Task]], Iterator[str]], ...] = (
    names,
    types,
    columns,
    answers,
    metrics,
    demo_noise,
    splits,
)


def missing_tasks(task: Task, others: Mapping[str, Task]) -> str | None:
    """Tasks that it names and that are nowhere: asked when all are loaded."""
    named = {"scored_by": task.scored_by, "answered_by": (task.answered_by,) if task.answered_by else ()}
    for field, wanted in named.items():
        for name in wanted:
            if name not in others:
                return f"{field} names {name!r}, which is no task"
    return None
