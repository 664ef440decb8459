"""What runs answer to the official test rows, as the server takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from glue_harness import data
from glue_harness.core.errors import DataError, GlueError, RowError, UsageError
from glue_harness.core.plan import plan_from
from glue_harness.core.task import Example, Task
from glue_harness.data import Rows
from glue_harness.data.own import question
from glue_harness.lab.predict import Trained, load
from glue_harness.runs.store import Store
from glue_harness.submit import Cell, Part, cell, file_text, majority, numbers_of, scale
from glue_harness.suite.registry import Registry


@dataclass
class Answered:
    """A submission's files, and whatever was not as asked."""

    texts: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def answer_parts(parts: Sequence[Part], registry: Registry, store: Store, where: str | None) -> Answered:
    """The official files in table order. What a run cannot answer gets the majority answer of its training rows."""
    rows = test_rows(parts, where)
    numbers = {part.file: numbers_of(part.task, rows[part.file], rows[part.file].official) for part in parts}
    cells: dict[str, list[Cell]] = {}
    done = Answered(notes=unfinished(parts))
    for (_, step), members in groupby(sorted(parts, key=trained_by), key=trained_by):
        group = list(members)
        trained = load(group[0].record, store.run_folder(group[0].record.id), step) if step else None
        for part in group:
            if trained:
                cells[part.file], notes = valid_cells(trained, part.task, examples_of(part.task, rows[part.file]))
            else:
                said = majority(part.task, rows_of(part, registry.trainer(part.task), "train", where))
                cells[part.file] = [said] * len(rows[part.file])
                notes = [f"no run answers it: every row has the majority answer {said!r}"]
            done.notes += [f"{part.file}: {note}" for note in notes]
    for part in parts:
        done.rows[part.file] = len(numbers[part.file])
        done.texts[part.file] = file_text(part.task, zip(numbers[part.file], cells[part.file], strict=True))
    return done


def trained_by(part: Part) -> tuple[str, int]:
    """What parts share that one model answers: a model is loaded once."""
    return part.record.id, part.step


def unfinished(parts: Sequence[Part]) -> list[str]:
    statuses = {part.record.id: part.record.status for part in parts}
    return [f"run {name} is {status}, not finished" for name, status in statuses.items() if status != "finished"]


def rows_of(part: Part, task: Task, role: str, where: str | None) -> Rows:
    """Rows from where the user says, or from where the run had its own."""
    plan = plan_from(part.record.plan)
    return data.load(task, role, where or plan.data, revision=None if where else plan.revision)


def test_rows(parts: Sequence[Part], where: str | None) -> dict[str, Rows]:
    """The test rows of every part, or one error for all that are missing."""
    found: dict[str, Rows] = {}
    failed: dict[str, GlueError] = {}
    for part in parts:
        try:
            found[part.file] = rows_of(part, part.task, "test", where)
        except (DataError, UsageError) as error:
            failed[part.file] = error
    if failed:
        first = next(iter(failed.values()))
        raise DataError(f"no usable test rows for {', '.join(failed)}: {first}")
    return found


def examples_of(task: Task, rows: Rows) -> list[Example]:
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(question(task, row, number))
        except RowError as error:
            raise DataError(f"{task.name}: test row {number + 1}: {error}") from None
    return found


def valid_cells(trained: Trained, task: Task, examples: Sequence[Example]) -> tuple[list[Cell], list[str]]:
    """What the server is told for every example, and what had to be done to answers that it would refuse."""
    labels = [prediction.label for prediction in trained.answers(task, examples)]
    cells, notes = [cell(task, label) for label in labels], []
    if again := [k for k, said in enumerate(cells) if said is None and examples[k].choices]:
        for k, prediction in zip(again, trained.answers(task, [examples[k] for k in again], "closed"), strict=True):
            cells[k] = cell(task, prediction.label)
        notes.append(f"{len(again):,} answers were not valid: answered again with the valid ones to choose from")
    if task.kind == "regress":
        low, high = scale(task)
        outside = sum(label is not None and not low <= label <= high for label in labels)
        notes += [f"{outside:,} numbers were not between {low:g} and {high:g}: moved there"] if outside else []
    if empty := cells.count(None):
        if not task.submission.words:
            raise GlueError(f"{task.name}: {empty:,} answers are empty, which the official server does not take")
        named = task.submission.words[0]
        cells = [named if said is None else said for said in cells]
        notes.append(f"{empty:,} answers named nothing: counted as {named!r}")
    return cells, notes
