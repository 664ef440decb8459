"""What runs answer to the official test rows, as the server takes it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from glue_harness import data
from glue_harness.core.errors import DataError, GlueError, RowError, UsageError
from glue_harness.core.plan import plan_from
from glue_harness.core.task import Example, Task
from glue_harness.data import Rows
from glue_harness.data.own import question
from glue_harness.lab.predict import Trained, load
from glue_harness.runs.store import Store
from glue_harness.submit import (
    Assignment,
    Numbers,
    ServerAnswer,
    majority,
    numbers_of,
    official_form,
    scale,
    server_answer,
)
from glue_harness.suite.registry import Registry


def answer_files(
    assigned: Sequence[Assignment], registry: Registry, store: Store, where: str | None
) -> tuple[dict[str, list[tuple[Numbers, ServerAnswer]]], list[str]]:
    """The answers of every file, each with where it belongs, and whatever was not as asked.

    What a run cannot answer gets the majority answer of its training rows.
    """
    rows = test_rows(assigned, where)
    numbers = {file: numbers_of(task, rows[file], rows[file].official) for file, task, *_ in assigned}
    statuses = {one.record.id: one.record.status for one in assigned}
    notes = [f"run {run} is {status}, not finished" for run, status in statuses.items() if status != "finished"]
    answers: dict[str, list[ServerAnswer]] = {}

    def model_of(one: Assignment) -> tuple[str, int]:
        return one.record.id, one.step

    for (run, step), members in groupby(sorted(assigned, key=model_of), key=model_of):
        trained = None  # loaded once for all that it answers
        for one in members:
            if step:
                trained = trained or load(one.record, store.run_folder(run), step, registry)
                answers[one.file], remarks = valid_answers(trained, one.task, examples_of(one.task, rows[one.file]))
            else:
                said = majority(one.task, rows_of(one, registry.trainer(one.task), "train", where))
                answers[one.file] = [said] * len(rows[one.file])
                remarks = [f"no run answers it: every row has the majority answer {said!r}"]
            notes += [f"{one.file}: {remark}" for remark in remarks]
    return {file: list(zip(numbers[file], answers[file], strict=True)) for file in numbers}, notes


def rows_of(one: Assignment, task: Task, role: str, where: str | None) -> Rows:
    """Rows from where the user says, or from where the run had its own."""
    plan = plan_from(one.record.plan)
    return data.load(task, role, where or plan.data, revision=None if where else plan.revision)


def test_rows(assigned: Sequence[Assignment], where: str | None) -> dict[str, Rows]:
    """The test rows of every file, or one error for all that are missing."""
    found: dict[str, Rows] = {}
    failed: dict[str, GlueError] = {}
    for one in assigned:
        try:
            found[one.file] = rows_of(one, one.task, "test", where)
        except (DataError, UsageError) as error:
            failed[one.file] = error
    if failed:
        raise DataError(f"no usable test rows for {', '.join(failed)}: {next(iter(failed.values()))}")
    return found


def examples_of(task: Task, rows: Rows) -> list[Example]:
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(question(task, row, number))
        except RowError as error:
            raise DataError(f"{task.name}: test row {number + 1}: {error}") from None
    return found


def valid_answers(trained: Trained, task: Task, examples: Sequence[Example]) -> tuple[list[ServerAnswer], list[str]]:
    """What the server is told for every example, and what had to be done to answers that it would refuse."""
    labels = [prediction.label for prediction in trained.answers(task, examples)]
    answers, notes = [server_answer(task, label) for label in labels], []
    if again := [k for k, said in enumerate(answers) if said is None and examples[k].choices]:
        for k, prediction in zip(again, trained.answers(task, [examples[k] for k in again], "closed"), strict=True):
            answers[k] = server_answer(task, prediction.label)
        notes.append(f"{len(again):,} answers were not valid: answered again with the valid ones to choose from")
    if task.kind == "regress":
        low, high = scale(task)
        outside = sum(label is not None and not low <= label <= high for label in labels)
        notes += [f"{outside:,} numbers were not between {low:g} and {high:g}: moved there"] if outside else []
    words = official_form(task).words
    if empty := answers.count(None):
        if not words:
            raise GlueError(f"{task.name}: {empty:,} answers are empty, which the official server does not take")
        notes.append(f"{empty:,} answers named nothing: counted as {words[0]!r}")
    return [words[0] if said is None else said for said in answers], notes
