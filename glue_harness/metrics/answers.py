"""Answers of any system in the metrics' terms: of lines that bring their targets, or matched to the rows of a split."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from glue_harness.core.errors import DataError, RowError
from glue_harness.core.reading import lines_of
from glue_harness.core.task import HIDDEN, HIDDEN_LABEL, Example, Prediction, Task, Text
from glue_harness.data.answer_files import OURS, Answer, as_key
from glue_harness.data.lines import json_object
from glue_harness.data.rows import Rows, examples_of
from glue_harness.suite.build import parse_number

MOST_NAMED = 5  # rows that a message lists


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
                fix = ": if the data has it, name them with --data" if key == "target" and key not in record else ""
                raise DataError(f"{where}: {key!r} {wrong}{fix}")
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


def matched(task: Task, rows: Rows, answers: Sequence[Answer], allow_invalid: bool = False) -> list[Prediction]:
    """A prediction for every example of the rows; the right answers are theirs.

    Answers that name no row stand in the order of the rows, or of the examples where a row became several. An answer
    in the task's words or as a label's number is read as that label; what is no answer is refused, unless allowed.
    """
    of_rows: dict[int, list[Example]] = {}
    for example in examples_of(task, rows):
        if example.target == HIDDEN or example.label == HIDDEN_LABEL:
            raise DataError(f"{rows.origin}: the labels of {rows.split} are hidden: nothing can be scored on it")
        of_rows.setdefault(int(example.id.partition(".")[0]), []).append(example)
    assign = _in_order if all(answer.key is None for answer in answers) else _by_key
    given = assign(task, rows, of_rows, answers)
    examples = (example for group in of_rows.values() for example in group)
    return [_read(task, example, given[example.id], allow_invalid) for example in examples]


def _in_order(
    task: Task, rows: Rows, of_rows: Mapping[int, Sequence[Example]], answers: Sequence[Answer]
) -> dict[str, Answer]:
    """Example -> its answer, by place."""
    examples = [example.id for group in of_rows.values() for example in group]
    if len(answers) == len(rows):
        return {example.id: answers[number] for number, group in of_rows.items() for example in group}
    if len(answers) == len(examples):
        return dict(zip(examples, answers, strict=True))
    file = answers[0].where.rpartition(",")[0]
    raise DataError(
        f"{file}: {len(answers):,} answers to {len(rows):,} {rows.split} rows of {task.name}: "
        "give one to each in their order, or an id beside each"
    )


def _by_key(
    task: Task, rows: Rows, of_rows: Mapping[int, Sequence[Example]], answers: Sequence[Answer]
) -> dict[str, Answer]:
    """The same by what the file calls the rows."""
    first = answers[0]
    for answer in answers:
        if (answer.column, answer.key is None) != (first.column, first.key is None):
            raise DataError(f"{answer.where}: rows are named otherwise than at {first.where}: give each one its id")
    keys = [answer.key or "" for answer in answers]
    known = _own_keys(task, rows, of_rows, first.column, keys) or _numbers(of_rows, keys)
    given: dict[str, Answer] = {}
    for key, answer in zip(keys, answers, strict=True):
        if key not in known:
            names = list(known)
            raise DataError(
                f"{answer.where}: {answer.column} {key!r} names none of the {len(rows):,} {rows.split} rows of "
                f"{task.name}, which are {names[0]}, ..., {names[-1]}"
            )
        for example in known[key]:
            if example.id in given:
                earlier = given[example.id].where
                raise DataError(f"{answer.where}: row {key} is answered twice, first at {earlier}")
            given[example.id] = answer
    if lacking := [key for key, group in known.items() if any(example.id not in given for example in group)]:
        listed = ", ".join(lacking[:MOST_NAMED]) + (", ..." if len(lacking) > MOST_NAMED else "")
        file = first.where.rpartition(",")[0]
        raise DataError(f"{file}: no answer to {len(lacking):,} of {len(known):,} rows of {task.name}: {listed}")
    return given


def _own_keys(
    task: Task, rows: Rows, of_rows: Mapping[int, Sequence[Example]], column: str, keys: Sequence[str]
) -> dict[str, Sequence[Example]] | None:
    """What a column of the rows names them; None where they have no such column.

    An idx of several numbers, as MultiRC's, goes by its innermost one if the file does.
    """
    if column == OURS:
        return None
    levels = [*task.submission.levels] if task.submission else []
    is_whole = any(key.startswith("{") for key in keys)
    found: dict[str, Sequence[Example]] = {}
    for number, row in enumerate(rows):
        value = row.get(column, row.get("idx") if column == "index" else None)
        if value is None:
            return None
        if isinstance(value, Mapping) and levels and not is_whole:
            value = value.get(levels[-1])
        found[as_key(value, rows.origin)] = of_rows.get(number, ())
    if len(found) < len(rows):
        raise DataError(f"{rows.origin}: column {column!r} does not tell all rows apart: give answers in their order")
    return found


def _numbers(of_rows: Mapping[int, Sequence[Example]], keys: Sequence[str]) -> dict[str, Sequence[Example]]:
    """The numbers of the rows from 0, or glue's names of the examples (3.0, 3.1 of row 3) if the file has such."""
    if any("." in key for key in keys):
        return {example.id: [example] for group in of_rows.values() for example in group}
    return {str(number): group for number, group in of_rows.items()}


def _read(task: Task, example: Example, answer: Answer, allow_invalid: bool) -> Prediction:
    """An answer as a model of the task would have written it."""
    text = _in_words(task, example, answer.text.strip())
    prediction = task.prediction(example, answer.text if text is None else text, answer.shares)
    if text is None and not (allow_invalid or answer.is_invalid):
        numbered = f", or their numbers 0 to {len(task.labels) - 1}" if has_numbers(task) else ""
        allowed = ", ".join(task.labels) + numbered if task.labels else "a number"
        raise DataError(
            f"{answer.where}: {answer.text!r} is no answer to {task.name}: {allowed}; "
            "--invalid counts such answers as wrong"
        )
    return prediction


def _in_words(task: Task, example: Example, text: str) -> str | None:
    """What the task calls an answer; None for what is none."""
    if task.kind == "regress":
        number = parse_number(text)
        return text if number is not None and math.isfinite(number) else None
    if not task.labels:
        return text
    label = label_of(task, text)
    if label is None:
        return None if task.choices or not text else text  # who names a referent writes free text
    # a referent is right if it is the candidate, which is the target; the label's own word is none of the text's nouns
    said = (task.labels[label], example.target)
    return next((word for word in said if task.decode(word, example) == label), task.labels[label])


def label_of(task: Task, text: str) -> int | None:
    """The label that a text names: as it is written, in other case, or by its number."""
    if text in task.labels:
        return task.labels.index(text)
    folded = [label.casefold() for label in task.labels]
    if folded.count(text.casefold()) == 1:
        return folded.index(text.casefold())
    number = parse_number(text)
    if number is not None and has_numbers(task) and number in range(len(task.labels)):
        return int(number)
    return None


def has_numbers(task: Task) -> bool:
    """Whether a number can stand for a label: not where labels are numbers themselves."""
    return bool(task.labels) and all(parse_number(label) is None for label in task.labels)
