"""Synthetic rows from a task's own generator: the same for everybody, evaluation never seen in training."""

from __future__ import annotations

from random import Random
from typing import Any

from glue_harness.core.errors import DataError, RowError, UsageError
from glue_harness.core.task import HIDDEN_LABEL, Task
from glue_harness.data.rows import Unchecked, examples, inputs_of

LEAST_ROWS, MOST_ROWS = 250, 4000  # of a training split whose size is left to us
EVALUATION_ROWS, LEAST_EVALUATION_ROWS = 400, 200  # then, and where the size is asked for
LARGEST = 1_000_000  # of a training split whose size is asked for: about a gigabyte
FEW = 8  # rows of each draw that are tried, so that an error names the demo and not what came of it
DRAWS = (1, 2, 4, 8, 16, 32)  # times the rows that are wanted


def rows_asked_for(where: str) -> int | None:
    """ROWS of `demo:ROWS`."""
    _, colon, rows = where.partition(":")
    if not colon:
        return None
    if not (rows.isascii() and rows.isdigit()) or int(rows) == 0:
        raise UsageError(f"--data {where!r}: the number of rows must be a whole number above 0, as in demo:2000")
    if len(rows) > len(str(LARGEST)) or int(rows) > LARGEST:
        raise UsageError(f"--data {where!r}: {LARGEST:,} rows at most: they are made anew, and held in memory")
    return int(rows)


def read(task: Task, role: str, split: str, where: str) -> Unchecked:
    """Rows for one split; the labels of a test split are hidden, as on the Hub."""
    if size := rows_asked_for(where):
        scored = max(LEAST_EVALUATION_ROWS, size // 10)
    else:  # more for the tasks that are larger in truth, so that a mixing has work to do
        size = min(MOST_ROWS, max(LEAST_ROWS, round(5 * task.source.rows.get("train", 0) ** 0.5)))
        scored = EVALUATION_ROWS
    if task.demo is None:
        raise UsageError(f"task {task.name!r} has no demo generator: use --data hub or --data DIR")
    if role == "train":
        return Unchecked(with_noise(task, split, draw(task, split, size)), "demo")
    earlier = draw(task, task.splits.get("train", "train"), size)
    if role == "test" and "validation" in task.splits:
        earlier += unseen(task, task.splits["validation"], scored, earlier)
    rows = unseen(task, split, scored, earlier)
    if role == "test" and "label" in task.needs:
        hidden = float(HIDDEN_LABEL) if task.kind == "regress" else HIDDEN_LABEL
        return Unchecked([{**row, "label": hidden} for row in rows], "demo")
    if split in task.source.hidden:
        unknown = {column: value for column, value in task.unanswered.items() if column != "idx"}
        return Unchecked([{**row, **unknown} for row in rows], "demo")
    return Unchecked(with_noise(task, split, rows), "demo", right=None if task.demo_noise is None else rows)


def seed(task: Task, split: str, n: int) -> str:
    """Tasks that share a Hub configuration (MNLI and its scorers) share it."""
    return f"{task.source.config or task.name}/{split}/{n}"


def draw(task: Task, split: str, n: int, factor: int = 1) -> list[dict[str, Any]]:
    """`factor * n` rows, rightly labelled."""
    assert task.demo, "`read` refuses tasks that have none"
    rows = task.demo(Random(seed(task, split, n)), factor * n)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise task.nonsense("demo", rows, f"a list of {factor * n:,} rows, each a dict")
    for number, row in enumerate(rows[:FEW], 1):
        try:
            examples(task, row, number)
        except RowError as error:
            raise DataError(f"the demo of {task.name!r}, row {number}: {error}") from None
    return rows


def with_noise(task: Task, split: str, right: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, of which the declared share, rounded to whole rows, has another label than the right one."""
    if not task.demo_noise:
        return right
    random, rows = Random(f"{seed(task, split, len(right))}/noise"), list(right)
    answers = range(len(task.labels)) or [float(choice) for choice in task.choices]
    for number in random.sample(range(len(rows)), round(task.demo_noise * len(rows))):
        wrong = [answer for answer in answers if answer != rows[number].get("label")]
        rows[number] = {**rows[number], "label": random.choice(wrong)}
    return rows


def unseen(task: Task, split: str, n: int, earlier: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`n` rows whose inputs are not those of earlier ones: of train, and of validation if there is a test split.

    A draw with too few is repeated as a larger one, not filled up: `idx` and groups must stay those of one draw.
    """
    seen = {inputs_of(task, row) for row in earlier}
    for factor in DRAWS:
        rows = [row for row in draw(task, split, n, factor) if inputs_of(task, row) not in seen]
        if len(rows) >= n:
            return rows[:n]
    raise DataError(
        f"the demo of {task.name!r} has no {n:,} rows beside {len(earlier):,} others: use fewer, as in --data demo"
    )
