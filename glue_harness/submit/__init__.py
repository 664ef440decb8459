"""Official submissions: which run answers which file, and how the files and their zip are written."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from glue_harness.core.errors import DataError, UsageError, unknown
from glue_harness.core.record import Record
from glue_harness.core.task import Row, Submission, Task
from glue_harness.core.writing import write_atomic
from glue_harness.metrics.selection import answering_step
from glue_harness.suite.registry import Registry
from glue_harness.suite.superglue import value_at

HEADER = "index\tprediction"
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # of every file in a zip: the same answers make the same bytes
ServerAnswer = str | int | float  # an answer as the server reads it
Numbers = tuple[int, ...]  # where an answer belongs: its index, after those of the records around it


class Assignment(NamedTuple):
    """One file of a zip, and who answers it."""

    file: str
    task: Task
    record: Record
    step: int  # of the checkpoint; 0: no run that was named can answer


def official_files(registry: Registry, suite: str | None = None) -> dict[str, dict[str, list[Task]]]:
    """Of one suite, or of each that has an official server: the files of its zip in table order.

    Each comes with the tasks that can answer it, the preferred one first.
    """
    suites: dict[str, dict[str, list[Task]]] = {}
    for task in sorted(registry.tasks.values(), key=lambda task: (task.suite, task.place)):
        if task.submission:
            suites.setdefault(task.suite, {}).setdefault(task.submission.file, []).append(task)
    if suite and suite not in suites:
        raise unknown("suite with an official server", suite, suites)
    return {suite: suites[suite]} if suite else suites


def official_form(task: Task) -> Submission:
    """How the official server takes the answers of a task."""
    if task.submission is None:
        raise UsageError(f"no official server takes answers to {task.name}: give its task a submission")
    return task.submission


def suite_of(registry: Registry, records: Sequence[Record]) -> str:
    """The suite that the runs learned, if it is one only."""
    known = official_files(registry)
    learned = {registry.tasks[name].suite for record in records for name in record.scores if name in registry.tasks}
    found = sorted(learned & known.keys())
    if len(found) != 1:
        said = " and ".join(found) or "neither"
        raise UsageError(f"the runs learned {said} of {', '.join(known)}: say which with --suite")
    return found[0]


def assign(registry: Registry, suite: str, records: Sequence[Record]) -> list[Assignment]:
    """Who answers each file: the first run named that can, by the task that the file prefers."""
    assigned = []
    for file, tasks in official_files(registry, suite)[suite].items():
        steps = ((task, record, answering_step(registry, record.scores, task)) for task in tasks for record in records)
        able = (Assignment(file, task, record, step) for task, record, step in steps if step is not None)
        assigned.append(next(able, Assignment(file, tasks[0], records[0], 0)))
    return assigned


def server_answer(task: Task, label: Any) -> ServerAnswer | None:
    """What the server is told for a label; None if that is no answer."""
    if label in (None, "") or (isinstance(label, float) and math.isnan(label)):
        return None
    if words := official_form(task).words:
        return words[label]
    if task.kind == "regress":
        low, high = scale(task)
        return round(min(max(label, low), high), 3)
    return label


def scale(task: Task) -> tuple[float, float]:
    """The lowest and the highest number that answers a task of numbers."""
    numbers = [float(choice) for choice in task.choices]
    return min(numbers), max(numbers)


def majority(task: Task, rows: Iterable[Row]) -> ServerAnswer:
    """The most frequent right answer of labelled rows."""
    labels = ([row["label"]] if "label" in row else [text.target for text in task.encode(row)] for row in rows)
    said = server_answer(task, Counter(chain.from_iterable(labels)).most_common(1)[0][0])
    if said is None:
        raise DataError(f"{task.name}: most rows have no answer: give labelled ones with --data")
    return said


def numbers_of(task: Task, rows: Sequence[Row], official: int | None) -> list[Numbers]:
    """Where each row's answer belongs. Rows of an official split must be that split, none missing."""
    levels = official_form(task).levels
    found: list[Numbers] = []
    for position, row in enumerate(rows):
        named = [value_at(row, "idx", name) for name in levels] if levels else [row.get("idx", position)]
        numbers = tuple(number for value in named if (number := whole(value)) is not None)
        if len(numbers) < len(named):
            raise DataError(f"{task.name}: test row {position + 1} has idx {row['idx']!r}, which is not a number")
        found.append(numbers)
    if official and (faults := number_faults(sorted(found), official)):
        raise DataError(f"{task.name}: the test rows are not the official ones: {faults[0]}; download them again")
    return found


def whole(value: Any) -> int | None:
    """A whole number, also as text: some official files quote theirs."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if type(value) is int and value >= 0 else None


def number_faults(found: Sequence[Numbers], official: int) -> list[str]:
    """What is wrong with the indices of a file, in the order in which they stand there."""
    faults = []
    last = [numbers[-1] for numbers in found]
    times = Counter(last)
    if len(found) != official:
        faults.append(f"{len(found):,} rows, not {official:,}")
    faults += counted("index stands twice", [number for number, n in times.items() if n > 1])
    faults += counted("index is missing", [number for number in range(official) if number not in times])
    faults += counted("index is not one of the test split's", [number for number in times if number >= official])
    for level in zip(*(numbers[:-1] for numbers in found), strict=True):
        gaps = sorted(set(range(len(set(level)))) - set(level))
        faults += counted("enclosing idx is missing", gaps)
    after = [later[-1] for earlier, later in pairwise(found) if later < earlier]
    return faults + counted("index is out of order", after)


def counted(what: str, found: Sequence[Any], remark: str = "") -> list[str]:
    """Faults of one kind in one line: how many, and the first."""
    more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    return [f"{what}: {found[0]}{more}{remark}"] if found else []


def file_text(task: Task, answers: Iterable[tuple[Numbers, ServerAnswer]]) -> str:
    """The official file of a task, in the order of its numbers."""
    answers = sorted(answers, key=lambda answer: answer[0])
    form = official_form(task)
    if form.file.endswith(".tsv"):
        return "".join(f"{line}\n" for line in (HEADER, *(f"{number}\t{said}" for (number,), said in answers)))
    return "".join(f"{json.dumps(line)}\n" for line in nested(answers, [*form.levels.values()][1:]))


def nested(
    answers: Iterable[tuple[Numbers, ServerAnswer]], ways: Sequence[tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """Answers as JSON objects; those that belong to one object lie inside it, `ways[0]` down from it."""
    for number, group in groupby(answers, key=lambda answer: answer[0][0]):
        if not ways:
            yield from ({"idx": number, "label": said} for _, said in group)
            continue
        inside: Any = list(nested([(numbers[1:], said) for numbers, said in group], ways[1:]))
        for name in reversed(ways[0]):
            inside = {name: inside}
        yield {"idx": number, **inside}


def write_zip(path: Path, texts: Mapping[str, str]) -> None:
    """The zip of a submission, complete or not there at all."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, text in texts.items():
            entry = ZipInfo(name, ZIP_DATE)
            entry.compress_type, entry.create_system, entry.external_attr = ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, text)
    write_atomic(path, buffer.getvalue())
