"""Packed rows of a decoder: what a token sees, which tokens are answers, and the choices of a question side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from glue_harness.models.batch import IGNORED, moved, soft_of
from glue_harness.models.interface import Encoded
from glue_harness.models.packing import Grid, Stream, multiple

PADDING = 0  # an id that nothing sees; positions and marks say that it is none


@dataclass(frozen=True)
class Options:
    """The choices of each example behind its question, a row each, beside what their teacher gave them."""

    branches: Branches
    soft: Tensor  # [examples, most]
    owners: Tensor  # of each term of the loss, its example
    in_rows: list[int] = field(metadata={"read": False})  # examples of each packed row


@dataclass(frozen=True)
class Batch:
    ids: Tensor  # rows x width
    segments: Tensor  # which example of its row a token is of, from 1; 0 is padding
    positions: Tensor  # places within the example
    places: Tensor  # in all rows one after the other: of the tokens whose next one is of an answer
    labels: Tensor  # these next ones
    questions: list[np.ndarray] = field(metadata={"read": False})  # each example without its answer
    terms: list[int] = field(metadata={"read": False})  # tokens of each one's answer
    options: Options | None = None  # where a teacher has said what it makes of the choices


def question_of(encoded: Encoded) -> np.ndarray:
    """What stands before the answer. The first stream ends with the answer's last token but one."""
    ids = np.asarray(encoded.streams[0])
    return ids[: len(ids) - len(encoded.streams[1]) + 1]


def lay(rows: Sequence[Sequence[Encoded]], prompt: int, device: torch.device, grid: Grid) -> Batch:
    """`prompt` vectors of a method stand in front of each example."""
    front = np.arange(-1, -1 - prompt, -1)
    longest = max(sum(prompt + len(e.streams[0]) for e in row) for row in rows)
    width = max(multiple(longest, grid.width), grid.least[0])
    height = multiple(len(rows), grid.rows)
    ids = np.full((height, width), PADDING, np.int64)
    segments, positions = np.zeros((2, height, width), np.int64)
    places, labels, questions = [], [], []
    for number, row in enumerate(rows):
        start = 0
        for segment, example in enumerate(row, 1):
            whole = np.concatenate([front, np.asarray(example.streams[0])])
            end = start + len(whole)
            ids[number, start:end], segments[number, start:end] = whole, segment
            positions[number, start:end] = np.arange(len(whole))
            answer = np.asarray(example.streams[1])
            places.append(number * width + np.arange(end - len(answer), end))
            labels.append(answer)
            questions.append(np.concatenate([front, question_of(example)]))
            start = end
    filling = multiple(sum(map(len, labels)), grid.labels) - sum(map(len, labels))
    wanted = np.pad(np.concatenate(places), (0, filling))
    told = np.pad(np.concatenate(labels).astype(np.int64), (0, filling), constant_values=IGNORED)

    def at(array: np.ndarray) -> Tensor:
        return moved(torch.from_numpy(array), device)

    options = lay_options(rows, questions, device) if rows[0][0].options else None
    terms = list(map(len, labels))
    return Batch(at(ids), at(segments), at(positions), at(wanted), at(told), questions, terms, options)


def lay_options(rows: Sequence[Sequence[Encoded]], questions: Sequence[np.ndarray], device: torch.device) -> Options:
    examples = [e for row in rows for e in row]
    owners = np.repeat(np.arange(len(examples)), [e.terms for e in examples])
    laid = branches(questions, [e.options for e in examples], device)
    soft, owned = (moved(torch.from_numpy(array), device) for array in (soft_of([e.soft for e in examples]), owners))
    return Options(laid, soft, owned, list(map(len, rows)))


def seen_in_rows(segments: Tensor) -> Tensor:
    """[rows, query, key]: a token sees those before it of its own example, and itself."""
    length = segments.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (segments[:, :, None] == segments[:, None, :]) & before


@dataclass(frozen=True)
class Branches:
    """A question a row, and behind it each of its choices, none of which sees another."""

    ids: Tensor
    positions: Tensor
    seen: Tensor  # [rows, query, key]
    places: Tensor  # of the tokens whose next one is a choice's, in all rows one after the other
    labels: Tensor
    owners: Tensor  # of these tokens, the choice: row x most + its number
    counts: Tensor  # tokens of each choice, [rows, most]; 0 where an example has fewer


def branches(questions: Sequence[np.ndarray], choices: Sequence[Sequence[Stream]], device: torch.device) -> Branches:
    """The first token of a choice follows the question's last one; a choice's own last token need not be read."""
    most = max(map(len, choices))
    width = max(len(q) + sum(len(c) - 1 for c in own) for q, own in zip(questions, choices, strict=True))
    ids = np.full((len(questions), width), PADDING, np.int64)
    positions = np.zeros_like(ids)
    branch = np.full_like(ids, -1)  # 0: of the question; -1: padding
    places: list[int] = []
    labels: list[int] = []
    owners: list[int] = []
    counts = np.zeros((len(questions), most), np.int64)
    for row, (question, own) in enumerate(zip(questions, choices, strict=True)):
        size = start = len(question)
        ids[row, :size], branch[row, :size], positions[row, :size] = question, 0, np.arange(size)
        for number, choice in enumerate(own):
            end = start + len(choice) - 1
            ids[row, start:end], branch[row, start:end] = choice[:-1], number + 1
            positions[row, start:end] = np.arange(size, size + len(choice) - 1)
            places += [row * width + size - 1, *range(row * width + start, row * width + end)]
            labels += choice
            owners += [row * most + number] * len(choice)
            counts[row, number] = len(choice)
            start = end
    numbers = (ids, positions, branch, np.array(places), np.array(labels), np.array(owners), counts)
    ids_, positions_, branch_, places_, labels_, owners_, counts_ = (
        moved(torch.from_numpy(array), device) for array in numbers
    )
    before = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    seen = before & ((branch_[:, None, :] == 0) | (branch_[:, None, :] == branch_[:, :, None]))
    return Branches(ids_, positions_, seen, places_, labels_, owners_, counts_)
