"""Which rows of train a run learns from, and which of them are held out to choose its steps.

A row's turn is a function of the seed and its texts in normal form: neither the order of the rows nor the task's name
matters. So the two RTEs, which are the same data but for quotation marks, use and hold out the same rows.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Row, Task
from glue_harness.data.rows import inputs_of
from glue_harness.data.texts import row_texts

QUANTILES = 5  # strata of a task whose label is a number
MOST_HELD_OUT = 1 / 5  # of a task's rows, however many are asked for


class TrainPart(NamedTuple):
    """Places of rows in a train split, in its order, and what became of the others that the plan uses."""

    trained: Sequence[int]
    held_out: Sequence[int]
    left_out: int = 0  # rows neither trained on nor held out: they share a text with what is held out
    ties: int = 0  # rows trained on although they share a short text with a held-out one: see `held_out`


class TextTable(NamedTuple):
    """The texts of some rows, as digests: one entry for each text and for the question of each row."""

    rows: np.ndarray  # which row an entry belongs to: its place among those rows
    digests: np.ndarray


def parts(plan: Plan, train: Mapping[str, tuple[Task, Sequence[Row]]], scored: Collection[str]) -> dict[str, TrainPart]:
    """The part of every task's train split that the plan uses, of plain text all.

    A task holds rows out if it is `scored`. No other row with a text of a held-out row is trained on, by any task.
    """
    limits = {name: None if task.noise else plan.train_limit for name, (task, _) in train.items()}
    used = {name: limited(task, rows, limits[name], plan.seed) for name, (task, rows) in train.items()}
    if plan.select != "heldout":
        return {name: TrainPart(places, []) for name, places in used.items()}
    tables = {name: text_table(task, rows, used[name], plan.seed) for name, (task, rows) in train.items()}
    components = components_of(tables, {name: len(places) for name, places in used.items()})
    crowded = {key for keys in components.values() for key in too_large(keys, len(keys) * MOST_HELD_OUT)}
    held: dict[str, list[int]] = {name: [] for name in train}  # as places among the used rows, like what follows
    torn: set[str] = set()
    for name, (task, rows) in train.items():
        if name in scored:
            labels = strata(task, rows)
            of_used = [labels[place] for place in used[name]]
            found = held_out(name, of_used, components[name], plan.heldout, crowded)
            if found is None:
                torn.add(name)
                passages = passage_keys(task, rows, plan.seed)
                found = held_out(name, of_used, [passages[place] for place in used[name]], plan.heldout)
            held[name] = found or []
    texts_held = {name: tables[name].digests[np.isin(tables[name].rows, held[name])] for name in train}
    found_parts = {}
    for name, places in used.items():
        numbers, digests = tables[name]
        theirs = [texts for other, texts in texts_held.items() if other != name or name not in torn]
        barred = {*held[name], *numbers[np.isin(digests, np.concatenate([np.empty(0, np.uint64), *theirs]))].tolist()}
        tied = {*numbers[np.isin(digests, texts_held[name])].tolist()} - barred
        found_parts[name] = TrainPart(
            trained=[place for k, place in enumerate(places) if k not in barred],
            held_out=[places[k] for k in held[name]],
            left_out=len(barred) - len(held[name]),
            ties=len(tied),
        )
    return found_parts


def described(plan: Plan, parts: Mapping[str, TrainPart], sizes: Mapping[str, int]) -> list[str]:
    """What of train is used, in a line for each setting that says so."""
    lines = []
    if plan.train_limit is not None:
        used = {name: len(part.trained) + len(part.held_out) + part.left_out for name, part in parts.items()}
        counts = ", ".join(f"{name} {n:,} of {sizes[name]:,} rows" for name, n in used.items())
        lines.append(f"train_limit {plan.train_limit}: {counts}")
    if plan.select == "heldout":
        counts = ", ".join(f"{name} {len(part.held_out):,}" for name, part in parts.items() if part.held_out)
        lines.append(f"steps are chosen on rows held out of train: {counts}")
        if counts := ", ".join(f"{name} {part.left_out:,}" for name, part in parts.items() if part.left_out):
            lines.append(f"not trained on, because they share a text with a held-out row: {counts}")
        for name, part in parts.items():
            if part.ties:
                lines.append(
                    f"{name}: nearly all rows hang together by texts that they share, so whole passages are held out: "
                    f"{part.ties:,} rows that are trained on share another text with them"
                )
    return lines


def limited(task: Task, rows: Sequence[Row], limit: int | None, seed: int) -> Sequence[int]:
    """The places of at most so many rows, labels in proportion; a smaller limit gives a part of a larger one's.

    A row's turn is its question's digest: what two tasks both ask, as the two RTEs do, comes at the same turn in both.
    By components instead, 200 rows of MultiRC would be of 2 components rather than of 120: too few to learn from.
    """
    if limit is None or limit >= len(rows):
        return range(len(rows))
    turns = in_proportion(strata(task, rows), [row_texts(task, row, seed).question for row in rows])
    return sorted(place for place, _ in zip(turns, range(limit), strict=False))


def text_table(task: Task, rows: Sequence[Row], places: Sequence[int], seed: int) -> TextTable:
    owners, digests = array("q"), array("Q")
    wanted = places if isinstance(places, range) else set(places)
    for k, row in enumerate(row for place, row in enumerate(rows) if place in wanted):
        found = row_texts(task, row, seed).all
        digests.extend(found)
        owners.extend([k] * len(found))
    return TextTable(np.frombuffer(owners, np.int64), np.frombuffer(digests, np.uint64))


def components_of(tables: Mapping[str, TextTable], sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """For each row of each task the key of its component: rows, of whatever task, that share a text are in one.

    A component's key is the least digest in it, so neither the order of rows nor of tasks matters. Every row starts
    with its own least digest. In each round it takes the least that any text of its has in any row, until none does
    better. Memory is 32 bytes an entry. Rounds are as many as the longest way between two rows of a component.
    """
    ends = np.cumsum([0, *sizes.values()])
    rows = np.concatenate([table.rows + begin for table, begin in zip(tables.values(), ends, strict=False)])
    digests = np.concatenate([table.digests for table in tables.values()])
    texts, text = np.unique(digests, return_inverse=True)
    largest = np.iinfo(np.uint64).max
    key, better = np.full(ends[-1], largest, np.uint64), digests
    while True:
        before = key.copy()
        np.minimum.at(key, rows, better)
        if np.array_equal(key, before):
            break
        of_text = np.full(len(texts), largest, np.uint64)
        np.minimum.at(of_text, text, key[rows])
        better = of_text[text]
    return {name: key[begin:end].tolist() for name, begin, end in zip(sizes, ends[:-1], ends[1:], strict=True)}


def too_large(keys: Sequence[int], most: float) -> set[int]:
    return {key for key, count in Counter(keys).items() if count > most}


def held_out(
    name: str, strata: Sequence[Hashable], groups: Sequence[int], most: int, crowded: Collection[int] | None = None
) -> list[int] | None:
    """Whole groups of rows, until they have enough rows, labels in proportion.

    Groups are components, of which those are passed over that are `crowded`: they have more than a fifth of some
    task's rows. Larger ones than what is to be held out are taken only if smaller ones do not suffice. None if that
    does not suffice either: where nearly all rows hang together by short texts that many share, such as a question
    that is asked about every passage, there is no clean cut, and groups must be those of one passage.
    """
    wanted = min(most, int(len(groups) * MOST_HELD_OUT))
    if wanted < 1:
        raise UsageError(f"{name}: {len(groups)} rows are too few to hold some out: use --select validation")
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    if crowded is not None:
        free = {group: rows for group, rows in members.items() if group not in crowded}
        small = {group: rows for group, rows in free.items() if len(rows) <= wanted}
        members = small if sum(map(len, small.values())) >= wanted else free
        if sum(map(len, members.values())) < wanted:
            return None
    labels = [tuple(sorted((strata[row] for row in rows), key=str)) for rows in members.values()]
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
