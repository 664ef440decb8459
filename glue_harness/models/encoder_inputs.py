"""Examples as an encoder reads them: a pair of texts, one for each choice, or the windows of a long paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from glue_harness.core.task import Example, Task
from glue_harness.models.interface import Encoded
from glue_harness.models.pairs import PairTokenizer, pairs_of
from glue_harness.models.windows import windows_of


def encoded(
    tokenizer: PairTokenizer, task: Task, head: str, examples: Sequence[Example], length: int, stride: int
) -> list[Encoded]:
    """Marks: where each choice's sequence begins, or where each marked phrase begins and ends."""
    assert task.view, "only what has a view is encoded"
    if task.view.head == "span":
        return [windows_of(tokenizer, task, head, example, length, stride) for example in examples]
    pairs = [pairs_of(task, example) for example in examples]
    laid = iter(tokenizer.lay([pair for own in pairs for pair in own], length))
    found = []
    for example, own in zip(examples, pairs, strict=True):
        parts = [next(laid) for _ in own]
        ids = [token for part in parts for token in part.ids]
        if task.view.head == "choice":
            marks = [0, *accumulate(len(part.ids) for part in parts[:-1])]
        else:
            marks = [place for part in parts for mark in part.marks for place in mark]
        lost = sum(part.lost for part in parts)
        found.append(Encoded((ids,), gold_of(task, example), head, lost=lost, marks=marks))
    return found


def gold_of(task: Task, example: Example) -> float:
    """The number that a head learns; of an answer that is not public, any."""
    assert task.view, "only what has a view is encoded"
    if task.view.gold:
        return task.view.gold(example)
    choices = list(task.view.choices(example))
    return float(choices.index(example.target)) if example.target in choices else 0.0
