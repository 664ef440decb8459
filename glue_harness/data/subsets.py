"""Which rows of train a run learns from, and which of them are held out to choose its steps.

A row's turn is a function of the seed and its text: neither the order of the rows nor the task's name matters. So the
two RTEs, which are the same data, hold out the same rows.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Row, Task
from glue_harness.data.rows import inputs_of

QUANTILES = 5  # strata of a task whose label is a number
MOST_HELD_OUT = 1 / 5  # of a task's rows, however many are asked for


class TrainPart(NamedTuple):
    """Places of rows in a train split, in its order."""

    trained: Sequence[int]
    held_out: Sequence[int]


def parts(plan: Plan, train: Mapping[str, tuple[Task, Sequence[Row]]], scored: Collection[str]) -> dict[str, TrainPart]:
    """The part of every task's train split that the plan uses, of plain text all.

    A task holds rows out if it is `scored`, and what it holds out, no other is trained on.
    """
    limits = {name: None if task.noise else plan.train_limit for name, (task, _) in train.items()}
    used = {name: limited(task, rows, limits[name], plan.seed) for name, (task, rows) in train.items()}
    if plan.select != "heldout":
        return {name: TrainPart(places, []) for name, places in used.items()}
    passages = {name: passage_keys(task, rows, plan.seed) for name, (task, rows) in train.items()}
    held: dict[str, set[int]] = {name: set() for name in train}
    for name, (task, rows) in train.items():
        if name in scored:
            found = held_out(name, strata(task, rows), passages[name], used[name], plan.heldout)
            held[name] = {passages[name][place] for place in found}
    forbidden = set[int]().union(*held.values())
    return {
        name: TrainPart(
            trained=[place for place in places if passages[name][place] not in forbidden],
            held_out=[place for place in places if passages[name][place] in held[name]],
        )
        for name, places in used.items()
    }


def described(plan: Plan, parts: Mapping[str, TrainPart], sizes: Mapping[str, int]) -> list[str]:
    """What of train is used, in a line for each setting that says so."""
    lines = []
    if plan.train_limit is not None:
        used = {name: len(part.trained) + len(part.held_out) for name, part in parts.items()}
        counts = ", ".join(f"{name} {n:,} of {sizes[name]:,} rows" for name, n in used.items())
        lines.append(f"train_limit {plan.train_limit}: {counts}")
    if plan.select == "heldout":
        counts = ", ".join(f"{name} {len(part.held_out):,}" for name, part in parts.items() if part.held_out)
        lines.append(f"steps are chosen on rows held out of train: {counts}")
    return lines


def limited(task: Task, rows: Sequence[Row], limit: int | None, seed: int) -> Sequence[int]:
    """The places of at most so many rows, labels in proportion; a smaller limit gives a part of a larger one's."""
    if limit is None or limit >= len(rows):
        return range(len(rows))
    turns = in_proportion(strata(task, rows), [key(inputs_of(task, row), seed) for row in rows])
    return sorted(place for place, _ in zip(turns, range(limit), strict=False))


def held_out(
    name: str, strata: Sequence[Hashable], passages: Sequence[int], places: Sequence[int], most: int
) -> list[int]:
    """Whole passages, until they have enough of the rows at `places`, labels in proportion."""
    wanted = min(most, int(len(places) * MOST_HELD_OUT))
    if wanted < 1:
        raise UsageError(f"{name}: {len(places)} rows are too few to hold some out: use --select validation")
    members: dict[int, list[int]] = defaultdict(list)
    for place in places:
        members[passages[place]].append(place)
    labels = [tuple(sorted((strata[place] for place in rows), key=str)) for rows in members.values()]
    found: list[int] = []
    order = list(members)
    for turn in in_proportion(labels, order):
        if len(found) >= wanted:
            break
        found += members[order[turn]]
    return sorted(found)


def in_proportion(strata: Sequence[Hashable], keys: Sequence[int]) -> Iterator[int]:
    """All places, so that every beginning has each stratum's share of places, rounded up or down; by key within one.

    This is Balinski and Young's quota method: rounding each share by itself would not make nested beginnings.
    """
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for place in sorted(range(len(keys)), key=keys.__getitem__):
        waiting[strata[place]].append(place)
    taken = dict.fromkeys(waiting, 0)
    for number in range(1, len(keys) + 1):
        below = [s for s, count in taken.items() if count * len(keys) < len(waiting[s]) * number]
        stratum = max(below, key=lambda s: len(waiting[s]) / (taken[s] + 1))
        yield waiting[stratum][taken[stratum]]
        taken[stratum] += 1


def strata(task: Task, rows: Sequence[Row]) -> list[Hashable]:
    """Each row's label, or the fifth of the labels in which its number is; None for all where answers are free."""
    labels: list[Any] = [row.get("label") for row in rows]
    if task.kind != "regress":
        return labels
    edges = np.quantile(labels, np.arange(1, QUANTILES) / QUANTILES)
    return np.searchsorted(edges, labels, side="right").tolist()


def passage_keys(task: Task, rows: Sequence[Row], seed: int) -> list[int]:
    """A key for the longest text of each row: rows about one paragraph, premise or sentence have the same."""
    column = longest_column(task, rows)
    return [key(str(row.get(column)) if column else inputs_of(task, row), seed) for row in rows]


def longest_column(task: Task, rows: Sequence[Row]) -> str | None:
    """The column with most text, if any column is nothing but text."""
    lengths = dict.fromkeys((column for column in task.columns if isinstance(rows[0].get(column), str)), 0)
    for row in rows:
        for column in lengths:
            lengths[column] += len(str(row.get(column)))
    return max(lengths, key=lengths.__getitem__, default=None)


def key(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{text}".encode(), digest_size=8).digest())
