"""Packed rows of an encoder as tensors, and where in them each head reads and what it should answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glue_harness.models.batch import moved, soft_of
from glue_harness.models.heads import NEXT, TOLD
from glue_harness.models.interface import Encoded
from glue_harness.models.packing import FINE, Grid, lay_out, multiple, pack
from glue_harness.models.pairs import PairTokenizer

WINDOW_MARKS = 3  # of each window: where it begins, and between which tokens the answer stands


@dataclass(frozen=True)
class Group:
    """The examples of a batch that one head answers."""

    head: str
    kind: str
    members: Tensor  # their terms of the loss, by number in the batch
    golds: Tensor
    tokens: Tensor  # places, in all rows one after the other, of the tokens that the head reads
    whose: Tensor  # where it reads means: which mean each of these tokens (of `marks`, behind the first ones) is of
    sizes: Tensor  # how many tokens each mean is of; for `span`, how long each window is
    owners: Tensor  # of each sequence, its example
    counts: Tensor  # of each example, its sequences
    places_in_owner: Tensor  # which sequence of its example each one is
    most: int  # sequences of an example
    means: bool
    windows: list[list[int]] = field(metadata={"read": False})  # how long each window of each example is
    in_rows: list[int] | None = field(
        default=None, metadata={"read": False}
    )  # members of each row; None: some stand in several
    soft: Tensor | None = None  # what a teacher gave the choices of each member, or its number

    def read(self, states: Tensor) -> Tensor:
        """The states [n, tokens, size] that the head turns into scores."""
        if self.kind == "span":
            return states[self.tokens]
        if self.kind == "marks":
            n = len(self.members)
            means = self._means(states, self.tokens[n:]).unflatten(0, (n, -1))
            return torch.cat([states[self.tokens[:n]][:, None], means], dim=1)
        return (self._means(states, self.tokens) if self.means else states[self.tokens])[:, None]

    def _means(self, states: Tensor, tokens: Tensor) -> Tensor:
        summed = states.new_zeros(len(self.sizes), states.shape[-1])
        return summed.index_add(0, self.whose, states[tokens]) / self.sizes[:, None]

    def losses(self, found: Tensor) -> Tensor:
        """Of each member, from the head's scores."""
        exact = found.to(torch.promote_types(found.dtype, torch.float32))
        if self.kind == "number":
            return (exact[:, 0] - self.golds[:, 0].to(exact.dtype)).square()
        if self.kind != "span":
            return functional.cross_entropy(exact, self.golds[:, 0].long(), reduction="none")
        beyond = torch.arange(exact.shape[1], device=exact.device)[None] >= self.sizes[:, None]
        logs = exact.masked_fill(beyond[..., None], float("-inf")).log_softmax(1)
        ends = logs.gather(1, self.golds.long()[:, None])[:, 0].mean(-1)  # of start and end
        return ends.new_zeros(len(self.members)).index_add(0, self.owners, -ends) / self.counts

    def by_example(self, rows: Sequence[Any]) -> list[list[Any]]:
        """What each window has, without what fills it up, in lists of the examples' windows."""
        left = iter(rows)
        return [[next(left)[:size] for size in sizes] for sizes in self.windows]


@dataclass(frozen=True)
class Batch:
    ids: Tensor  # rows x width
    segments: Tensor  # which sequence of its row a token is of, from 1; 0 is padding
    positions: Tensor  # places within the sequence
    types: Tensor  # 1 in the second text of a pair
    groups: list[Group]
    size: int  # terms of the loss
    longest: int = field(metadata={"read": False})  # tokens of a sequence, with its prompt: for a check only
    terms: list[int] = field(default_factory=list, metadata={"read": False})  # of each example
    examples: Tensor | None = None  # rows x width, where it is asked for: which example a token is of, -1: padding
    owners: Tensor | None = None  # likewise: of each term of the loss, its example


@dataclass
class Sequences:
    """The sequences of some examples: an example has one, or one for each choice or window."""

    ids: list[np.ndarray]
    owners: list[int]


def sequences_of(encoded: Sequence[Encoded], kinds: Sequence[str]) -> Sequences:
    found = Sequences([], [])
    for number, (example, kind) in enumerate(zip(encoded, kinds, strict=True)):
        ids = np.asarray(example.streams[0])
        parts = np.split(ids, starts_of(example, kind)[1:])
        found.ids += parts
        found.owners += [number] * len(parts)
    return found


def starts_of(example: Encoded, kind: str) -> list[int]:
    """Where each of an example's sequences begins."""
    if kind == "choice":
        return [int(place) for place in example.marks]
    if kind == "span":
        return [int(place) for place in example.marks[: len(example.marks) // WINDOW_MARKS]]
    return [0]


def lay(
    rows: Sequence[Sequence[Encoded]],
    heads: Mapping[str, str],
    kinds: Mapping[str, str],
    tokenizer: PairTokenizer,
    prompt: int,
    means: bool,
    device: torch.device,
    grid: Grid = FINE,
    whose: bool = False,
) -> Batch:
    """The tensors of packed rows. Sequences of one example need not see each other: they are packed anew."""
    encoded = [example for row in rows for example in row]
    of_head = [heads[example.head] for example in encoded]
    found = sequences_of(encoded, [kinds[head] for head in of_head])
    if prompt:
        found.ids = [np.concatenate([np.arange(-1, -1 - prompt, -1), ids]) for ids in found.ids]
    row_of: list[int] = []  # each example's row, where it has but one
    if len(found.ids) == len(encoded):
        row_of = [number for number, row in enumerate(rows) for _ in row]
        numbers = iter(range(len(encoded)))
        packed, least = [[next(numbers) for _ in row] for row in rows], grid.least[0]
    else:
        packed, least = pack([(len(ids),) for ids in found.ids], grid), 0
    width = max(least, multiple(max(sum(len(found.ids[k]) for k in row) for row in packed), grid.width))
    height = multiple(len(packed), grid.rows)
    laid = lay_out([[found.ids[k] for k in row] for row in packed], height, width, tokenizer.pad)
    starts = np.zeros(len(found.ids), np.int64)  # of each sequence, in all rows one after the other
    segments = np.zeros((height, width), np.int64)
    for number, row in enumerate(packed):
        ends = np.cumsum([len(found.ids[k]) for k in row])
        starts[row] = number * width + np.concatenate([[0], ends[:-1]])
        segments[number, : ends[-1]] = np.repeat(np.arange(1, len(row) + 1), [len(found.ids[k]) for k in row])
    counts = [example.terms for example in encoded]
    terms = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])  # the numbers of each example's
    groups = [
        group_of(head, kinds[head], [k for k, own in enumerate(of_head) if own == head], encoded, found, starts, terms,
                 prompt, means, device, row_of)
        for head in sorted(set(of_head))
    ]  # fmt: skip
    if paired := [k for k, example in enumerate(encoded) if example.told and example.gold is not None]:
        groups.append(group_of(NEXT, "label", paired, encoded, found, starts, terms, prompt, means, device, row_of))
    types = second_texts(laid.ids, laid.positions, tokenizer)
    ids, segments_, positions, types_ = (
        moved(torch.from_numpy(array), device) for array in (laid.ids, segments, laid.positions, types)
    )
    made = Batch(ids, segments_, positions, types_, groups, sum(counts), max(map(len, found.ids)), counts)
    if not whose:
        return made
    examples = np.full((height, width), -1, np.int64)
    for number, row in enumerate(packed):
        owned = np.repeat([found.owners[k] for k in row], [len(found.ids[k]) for k in row])
        examples[number, : len(owned)] = owned
    owners = np.repeat(np.arange(len(encoded)), counts)
    examples_, owners_ = (moved(torch.from_numpy(array), device) for array in (examples, owners))
    return replace(made, examples=examples_, owners=owners_)


def second_texts(ids: np.ndarray, positions: np.ndarray, tokenizer: PairTokenizer) -> np.ndarray:
    """1 behind a sequence's first separator. No text spells one, so that counting them tells."""
    if not tokenizer.between:
        return np.zeros_like(ids)
    separators = np.cumsum(ids == tokenizer.between[0], axis=1)
    before = separators - (ids == tokenizer.between[0])
    at_start = np.where(positions == 0, before, 0)
    return (before > np.maximum.accumulate(at_start, axis=1)).astype(np.int64)


def group_of(
    head: str,
    kind: str,
    members: list[int],
    encoded: Sequence[Encoded],
    found: Sequences,
    starts: np.ndarray,
    terms: Sequence[np.ndarray],
    prompt: int,
    means: bool,
    device: torch.device,
    row_of: Sequence[int],
) -> Group:
    """The examples `members` as their head wants them."""
    place = {number: k for k, number in enumerate(members)}
    own = [k for k, owner in enumerate(found.owners) if owner in place]  # sequences
    owners = np.array([place[found.owners[k]] for k in own])
    counts = np.bincount(owners, minlength=len(members))
    golds = np.array([[encoded[k].gold or 0.0] for k in members])
    tokens, whose, sizes = starts[own] + prompt, np.zeros(0, np.int64), np.zeros(0, np.int64)  # the first tokens
    if kind == TOLD:  # marks: where each hidden token stands, then what it is
        marks = [np.asarray(encoded[k].marks).reshape(2, -1) for k in members]
        tokens = np.concatenate([starts[k] + prompt + places for k, (places, _) in zip(own, marks, strict=True)])
        golds = np.concatenate([labels for _, labels in marks])[:, None]
    elif kind == "span":
        sizes = np.array([len(found.ids[k]) for k in own])
        tokens = starts[own][:, None] + np.minimum(np.arange(sizes.max())[None], sizes[:, None] - 1)
        golds = np.concatenate([_answers(encoded[k]) for k in members]) + prompt
    elif kind == "marks":
        whose, sizes, marked = _listed([starts[k] + prompt + span for k in own for span in _spans(found, encoded, k)])
        tokens = np.concatenate([tokens, marked])
    elif means:
        whose, sizes, tokens = _listed([starts[k] + np.arange(prompt, len(found.ids[k])) for k in own])

    def at(array: np.ndarray) -> Tensor:
        return moved(torch.from_numpy(array), device)

    return Group(
        head=head,
        kind=kind,
        members=at(np.concatenate([terms[k][: encoded[k].told] if kind == TOLD else terms[k][-1:] for k in members])),
        golds=at(golds),
        tokens=at(tokens),
        whose=at(whose),
        owners=at(owners),
        counts=at(counts),
        sizes=at(sizes),
        places_in_owner=at(np.concatenate([np.arange(count) for count in counts])),
        most=int(counts.max()),
        means=means and kind in ("label", "number", "choice"),
        windows=[part.tolist() for part in np.split(sizes, np.cumsum(counts)[:-1])] if kind == "span" else [],
        in_rows=in_rows(row_of, members, [encoded[k].told if kind == TOLD else 1 for k in members]),
        soft=at(soft_of(shown)) if len((shown := [encoded[k].soft for k in members])[0]) else None,
    )


def in_rows(row_of: Sequence[int], members: Sequence[int], counts: Sequence[int]) -> list[int] | None:
    """How many of the states that a head reads are of each row."""
    if not row_of:
        return None
    found = np.zeros(row_of[-1] + 1, np.int64)
    np.add.at(found, [row_of[k] for k in members], counts)
    return [int(count) for count in found]


def _listed(lists: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of several lists in one: which list each is of, how long the lists are, and the tokens."""
    sizes = np.array([len(tokens) for tokens in lists], np.int64)
    return np.repeat(np.arange(len(lists)), sizes), sizes, np.concatenate(lists)


def _answers(example: Encoded) -> np.ndarray:
    """Between which tokens of each window the answer stands: [windows, 2]."""
    return np.asarray(example.marks).reshape(WINDOW_MARKS, -1)[1:].T


def _spans(found: Sequences, encoded: Sequence[Encoded], sequence: int) -> list[np.ndarray]:
    """The tokens of each marked phrase of a sequence."""
    marks = encoded[found.owners[sequence]].marks
    return [np.arange(marks[at], marks[at + 1]) for at in range(0, len(marks), 2)]
