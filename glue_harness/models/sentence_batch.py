"""What a model of sentence vectors reads of an example: words of texts that never meet, and a head's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glue_harness.core.task import Example, Task
from glue_harness.models.batch import moved, padded, soft_of
from glue_harness.models.encoder_inputs import gold_of
from glue_harness.models.interface import Encoded
from glue_harness.models.pairs import kept, pairs_of
from glue_harness.models.words import PAD, Words

SPAN = 3  # numbers of a marked phrase: its text, its first word, and the one behind its last
MARKED = 2  # phrases of a question that has some


def encoded(words: Words, task: Task, head: str, examples: Sequence[Example], length: int) -> list[Encoded]:
    """At most `length` words of each pair, as an encoder cuts them. Marks: where each text begins, then the phrases."""
    found = []
    for example in examples:
        ids: list[int] = []
        starts, spans, lost = [], [], 0
        for pair in pairs_of(task, example):
            texts = [words.read(text) for text in pair[:2] if text is not None]
            sizes = [len(text) for text in texts]
            left = kept(sizes[0], sizes[1], length) if len(texts) > 1 else (min(sizes[0], length),)
            for text, size in zip(texts, left, strict=True):
                starts.append(len(ids))
                ids += [word.id for word in text[: max(1, size)]]
                lost += len(text) - max(1, size)
            for mark in pair.marks:
                touched = [k for k, w in enumerate(texts[mark.text]) if w.start < mark.end and w.end > mark.start]
                last = max(1, left[mark.text]) - 1  # of what was cut off, the last word that is left
                first, beyond = (min(touched[0], last), min(touched[-1], last) + 1) if touched else (last, last + 1)
                spans += [mark.text, first, beyond]
        found.append(Encoded((ids,), gold_of(task, example), head, lost=lost, marks=[*starts, *spans]))
    return found


@dataclass(frozen=True)
class Group:
    """The examples of a batch that one head answers."""

    head: str
    kind: str
    members: Tensor  # their numbers in the batch
    golds: Tensor
    firsts: Tensor  # what the head gets vectors of: the numbers of texts, or of a question's phrases
    seconds: Tensor  # of a text alone: -1
    paired: Tensor  # which of these are two texts, and no text alone
    pair_lengths: list[int] = field(metadata={"read": False})  # words of both texts of each of those
    owners: Tensor  # of each pair, its example
    places: Tensor  # which choice of its example each pair is
    most: int  # choices of an example
    in_rows: list[int] = field(metadata={"read": False})  # how many pairs are of each row
    soft: Tensor | None = None  # what a teacher gave the choices of each member, or its number

    def losses(self, found: Tensor) -> Tensor:
        if self.kind == "number":
            return (found[:, 0] - self.golds).square()
        return functional.cross_entropy(found, self.golds.long(), reduction="none")


@dataclass(frozen=True)
class Batch:
    ids: Tensor  # a text a row
    phrases: Tensor  # of questions about phrases: text, first word, and the one behind the last
    groups: list[Group]
    size: int  # examples
    lengths: list[int] = field(metadata={"read": False})  # of the texts
    in_rows: list[int] = field(metadata={"read": False})  # how many texts are of each row

    @property
    def present(self) -> Tensor:
        return self.ids != PAD


def lay(
    rows: Sequence[Sequence[Encoded]], heads: Mapping[str, str], kinds: Mapping[str, str], device: torch.device
) -> Batch:
    """`heads`: of each task, the head that answers it; `kinds`: of each head."""
    examples = [example for row in rows for example in row]
    row_of = [number for number, row in enumerate(rows) for _ in row]
    text_rows: list[int] = []
    texts: list[np.ndarray] = []
    phrases: list[list[int]] = []
    units: dict[str, list[tuple[int, int, int, int]]] = {}  # head -> example, first, second, place
    members: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        head = heads[example.head]
        kind = kinds[head]
        members.setdefault(head, []).append(number)
        marks = [int(place) for place in example.marks]
        spans = marks[-SPAN * MARKED :] if kind == "marks" else []
        starts = marks[: len(marks) - len(spans)]
        base = len(texts)
        texts += np.split(np.asarray(example.streams[0]), starts[1:])
        text_rows += [row_of[number]] * len(starts)
        if kind == "marks":
            pairs = [(len(phrases), len(phrases) + 1)]
            phrases += [[base + spans[k], *spans[k + 1 : k + SPAN]] for k in range(0, len(spans), SPAN)]
        elif kind == "choice":
            pairs = [(base + k, base + k + 1) for k in range(0, len(starts), 2)]
        else:
            pairs = [(base, base + 1 if len(starts) > 1 else -1)]
        own = len(members[head]) - 1
        units.setdefault(head, []).extend((own, *pair, place) for place, pair in enumerate(pairs))

    def at(values: Sequence[float]) -> Tensor:
        return moved(torch.tensor(values), device)

    groups = []
    for head, numbers in sorted(members.items()):  # whatever stands in a row, its masks are drawn in this order
        owners, firsts, seconds, places = (list(column) for column in zip(*units[head], strict=True))
        golds = at([examples[k].gold or 0.0 for k in numbers])
        of_rows = np.bincount([row_of[numbers[owner]] for owner in owners], minlength=len(rows)).tolist()
        choices = max(places) + 1
        paired = [k for k, second in enumerate(seconds) if second >= 0 and kinds[head] != "marks"]
        both = [len(texts[text]) for k in paired for text in (firsts[k], seconds[k])]
        read = at(firsts), at(seconds), moved(torch.tensor(paired, dtype=torch.long), device), both
        shown = [examples[k].soft for k in numbers]
        soft = moved(torch.from_numpy(soft_of(shown)), device) if len(shown[0]) else None
        within = at(owners), at(places), choices, of_rows, soft
        groups.append(Group(head, kinds[head], at(numbers), golds, *read, *within))
    listed = moved(torch.tensor(phrases, dtype=torch.long).view(-1, SPAN), device)
    lengths = [len(text) for text in texts]
    in_rows = np.bincount(text_rows, minlength=len(rows)).tolist()
    return Batch(moved(padded(texts, PAD), device), listed, groups, len(examples), lengths, in_rows)


def filler_marks(kind: str) -> list[int]:
    """Of an example that means nothing: one text, or one beside a choice, or two phrases."""
    return {"choice": [0, 1], "marks": [0, *[0, 0, 1] * MARKED]}.get(kind, [0])
