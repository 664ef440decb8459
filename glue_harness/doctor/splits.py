"""The rows of a data set, read once a split and shown to every check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from glue_harness.core.errors import DataError, RowError
from glue_harness.core.task import HIDDEN, Row, Task, Text
from glue_harness.data import Rows, is_here, load
from glue_harness.data.checks import HIDDEN_LABEL, encode
from glue_harness.doctor import files
from glue_harness.doctor.checks import CHECKS, Reading
from glue_harness.doctor.duplicates import Inputs, repeated
from glue_harness.doctor.finding import FAIL, WARN, Finding


@dataclass(frozen=True)
class DataSet:
    """One source of rows and all tasks that read it: MNLI is three tasks, and its files are read once."""

    tasks: tuple[Task, ...]

    @property
    def name(self) -> str:
        return self.tasks[0].name

    @property
    def splits(self) -> dict[str, tuple[str, list[Task]]]:
        """Hub split -> the role it plays, and the tasks that read it."""
        found: dict[str, tuple[str, list[Task]]] = {}
        for task in self.tasks:
            for role, split in task.splits.items():
                found.setdefault(split, (role, []))[1].append(task)
        return found

    def is_here(self, data: str) -> bool:
        return any(is_here(tasks[0], split, data) for split, (_, tasks) in self.splits.items())


def data_sets(tasks: Iterable[Task]) -> list[DataSet]:
    """Tasks by their source, suite by suite in the order of the official table."""
    by_source: dict[int, list[Task]] = {}
    for task in tasks:
        by_source.setdefault(id(task.source), []).append(task)
    found = [DataSet(tuple(members)) for members in by_source.values()]
    return sorted(found, key=lambda one: (one.tasks[0].suite, one.tasks[0].place))


def examine_data_set(one: DataSet, data: str, tasks: Iterable[Task]) -> Iterator[Finding]:
    """All findings about its splits; inputs are compared with those of the splits before."""
    seen: Inputs = {}
    for split, (role, readers) in one.splits.items():
        where = f"{one.name} {split}"
        if not is_here(readers[0], split, data):
            yield missing(where, role, readers[0], data)
            continue
        path = files.text_file(readers[0], split, data)
        try:
            rows = load(files.with_test_labels(readers[0], split, path), role, data)
        except DataError as error:
            fix = files.owner(readers[0], role, path, tasks) or f"replace it: {as_it_should_be(readers[0])}"
            yield Finding(where, "readable", FAIL, str(error), fix)
            continue
        reading, faults = read(where, split, role, readers, rows)
        yield from faults
        if path and (cut := files.cut_off(path, rows)):
            yield Finding(where, "file", FAIL, cut, "download the file again, or end a subset with a newline")
        for check in CHECKS:
            yield from check(reading)
        yield from repeated(reading, seen)


def missing(where: str, role: str, task: Task, data: str) -> Finding:
    if data == "hub":
        return Finding(where, "presence", WARN, "not downloaded yet", "glue run downloads it")
    state = WARN if role == "test" or task.part == "companion" else FAIL  # the official download lacks DPR
    return Finding(where, "presence", state, f"no rows in {data!r}", f"add the file: {as_it_should_be(task)}")


def as_it_should_be(task: Task) -> str:
    return f"glue show {task.name} --data hub shows the rows as they should be"


def read(where: str, split: str, role: str, readers: Sequence[Task], rows: Rows) -> tuple[Reading, list[Finding]]:
    """Every row as each of its tasks reads it; the first task's inputs are those that are compared."""
    first, faults = readers[0], []
    answers: Counter = Counter()
    inputs = []
    for task in readers:
        errors = []
        for number, row in enumerate(rows, 1):
            try:
                texts = encode(task, row)
            except RowError as error:
                errors.append(f"row {number}: {error}")
                continue
            if task is first:
                inputs.append(frozenset(hash(text.inputs) for text in texts))
                answers[answer(task, row, texts)] += 1
        if errors:
            text = f"{len(errors):,} of {len(rows):,} rows cannot be examples of {task.name!r}, {errors[0]}"
            faults.append(Finding(where, "encoding", FAIL, text, f"replace the rows: {as_it_should_be(task)}"))
    return Reading(where, split, role, first, rows, inputs, answers), faults


def answer(task: Task, row: Row, texts: Sequence[Text]) -> object:
    """A row's label, -1 where it is hidden; None for an answer that is a text of its own."""
    if "label" in task.needs:
        return row["label"]
    return HIDDEN_LABEL if any(text.target == HIDDEN for text in texts) else None
