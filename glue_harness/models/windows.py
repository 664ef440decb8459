"""Extractive answers: a paragraph that is too long in overlapping windows, and the best span of all windows."""

from __future__ import annotations

from collections.abc import Sequence

from glue_harness.core.task import Example, Task
from glue_harness.models.interface import Answer, Encoded
from glue_harness.models.pairs import PairTokenizer, pairs_of, placed

LONGEST = 30  # tokens of an answer, as in BERT's own code
CANDIDATES = 20  # beginnings and ends of each window that are looked at


def windows_of(tokenizer: PairTokenizer, task: Task, head: str, example: Example, length: int, stride: int) -> Encoded:
    """Marks: where each window begins, then where the answer begins in each, then where it ends (its last token).

    In a window without the answer both are the first token.
    """
    assert task.view, "only what has a view is encoded"
    (pair,) = pairs_of(task, example)
    windows, begins, second, before = tokenizer.windows(pair, length, stride)
    starts, ends = [0] * len(windows), [0] * len(windows)
    if pair.marks and second.ids:
        first, beyond = placed(pair.marks[0], second, 0, len(second.ids))
        for k, (window, begin) in enumerate(zip(windows, begins, strict=True)):
            room = len(window) - before - len(tokenizer.after_pair)
            if begin <= first and beyond <= begin + room:
                starts[k], ends[k] = before + first - begin, before + beyond - 1 - begin
    places = [sum(map(len, windows[:k])) for k in range(len(windows))]
    ids = [token for window in windows for token in window]
    return Encoded((ids,), 0.0, head, marks=[*places, *starts, *ends])


def answer_of(
    tokenizer: PairTokenizer,
    task: Task,
    example: Example,
    scores: Sequence[Sequence[Sequence[float]]],
    length: int,
    stride: int,
) -> Answer:
    """The text between the two tokens whose scores sum up highest; `scores`: of each window's tokens, start and end."""
    assert task.view, "only what has a view was encoded"
    (pair,) = task.view.pairs(example)
    windows, begins, second, before = tokenizer.windows(pair, length, stride)
    best, span = float("-inf"), None
    for window, begin, of_tokens in zip(windows, begins, scores, strict=True):
        own = range(before, len(window) - len(tokenizer.after_pair))
        starts = sorted(own, key=lambda k: -of_tokens[k][0])[:CANDIDATES]
        ends = sorted(own, key=lambda k: -of_tokens[k][1])[:CANDIDATES]
        for start in starts:
            for end in ends:
                total = of_tokens[start][0] + of_tokens[end][1]
                if start <= end < start + LONGEST and total > best:
                    best, span = total, (begin + start - before, begin + end - before)
    if span is None or pair.second is None:
        return Answer("", {})
    return Answer(pair.second[second.offsets[span[0]][0] : second.offsets[span[1]][1]], {})
