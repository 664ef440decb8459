"""What a run trains on and what it is asked, of the rows that were read, in tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from glue_harness.core.plan import Plan
from glue_harness.core.task import Example, Row, Task
from glue_harness.data import Rows
from glue_harness.data.rows import fingerprint
from glue_harness.data.subsets import TrainPart
from glue_harness.models.interface import Model
from glue_harness.train.tokens import Subset, Tokens, examples_of, tokens_of


class Asked(NamedTuple):
    """Examples to answer, and their tokens."""

    examples: list[Example]
    tokens: Tokens


def texts_of(task: Task, rows: Rows, places: Collection[int]) -> Iterator[str]:
    """What a vocabulary is learned from: all that a task trains on, one text at a time."""
    for example in examples_of(task, at(rows, places)):
        yield from (example.inputs, example.target)


def trained_tokens(
    task: Task, rows: Rows, part: TrainPart, model: Model, plan: Plan, notes: list[str]
) -> Tokens | Subset:
    """What a task trains on; the cache holds the whole split, whatever part of it is used."""
    tokens = tokens_of(task, rows, model, plan, notes)
    if len(part.trained) == len(rows):
        return tokens
    wanted = set(part.trained)
    numbers = (number for number in range(len(tokens)) if row_of(tokens.id(number)) in wanted)
    return Subset(tokens, np.fromiter(numbers, np.int64))


def asked_of(task: Task, rows: Rows, model: Model, plan: Plan, notes: list[str]) -> Asked:
    return Asked(list(examples_of(task, rows)), tokens_of(task, rows, model, plan, notes))


def row_of(example: str) -> int:
    """The number of the row that an example was made of, from its id."""
    return int(example.partition(".")[0])


def held_out(name: str, group: tuple[Task, ...], rows: Rows, part: TrainPart) -> tuple[Task, Rows]:
    """What chooses a task's step, if its validation split must not: rows of train, read as its scorers read theirs."""
    task = replace(group[0], name=name)
    kept = list(at(rows, part.held_out))
    return task, replace(rows, rows=kept, origin=f"{rows.origin}, held out", fingerprint=fingerprint(task, kept))


def at(rows: Rows, places: Collection[int]) -> Iterable[Row]:
    """The rows at some places, in their order; of all rows, the rows themselves."""
    if len(places) == len(rows):
        return rows
    wanted = set(places)
    return (row for number, row in enumerate(rows) if number in wanted)
