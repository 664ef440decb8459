"""Span corruption, T5's unsupervised objective: spans of a text are hidden, a sentinel stands for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import count, groupby, pairwise
from random import Random
from typing import TypeVar

from glue_harness.core.task import SpanNoise

Token = TypeVar("Token")


def amounts(noise: SpanNoise, length: int) -> tuple[int, int]:
    """How many tokens of a text are hidden, and in how many spans: some, never all, none of a single token."""
    if length < 2:
        return 0, 0
    hidden = min(max(round(length * noise.density), 1), length - 1)
    spans = max(round(hidden / noise.mean_span), 1)
    return hidden, min(spans, hidden, length - hidden)


def draw_mask(noise: SpanNoise, random: Random, length: int) -> list[bool]:
    """Which tokens are hidden. Kept and hidden spans alternate, a kept one first: T5's text ends hidden."""
    hidden, spans = amounts(noise, length)
    if not spans:
        return [False] * length
    lengths = zip(cut_up(random, length - hidden, spans), cut_up(random, hidden, spans), strict=True)
    return [flag for kept, gone in lengths for flag in [False] * kept + [True] * gone]


def cut_up(random: Random, total: int, parts: int) -> list[int]:
    """A total as so many numbers above 0, all ways equally likely."""
    cuts = sorted(random.sample(range(1, total), parts - 1))
    return [after - before for before, after in pairwise([0, *cuts, total])]


def corrupt(
    tokens: Sequence[Token], mask: Sequence[bool], sentinel: Callable[[int], Token]
) -> tuple[list[Token], list[Token]]:
    """The text with sentinels in place of its hidden spans, and the spans, each after its sentinel.

    One more sentinel ends the spans if text follows the last one, as in T5's code; the paper always has it.
    """
    inputs: list[Token] = []
    targets: list[Token] = []
    spans = 0
    for hidden, run in groupby(zip(tokens, mask, strict=True), key=lambda pair: pair[1]):
        span = [token for token, _ in run]
        if hidden:
            inputs.append(sentinel(spans))
            targets += [sentinel(spans), *span]
            spans += 1
        else:
            inputs += span
    if len(mask) and not mask[-1]:
        targets.append(sentinel(spans))
    return inputs, targets


def of_words(noise: SpanNoise, text: str) -> tuple[str, str]:
    """Inputs and target as they might be, for people to look at: words stand for tokens, which a model would know."""
    words = text.split()
    mask = draw_mask(noise, Random(text), len(words))
    inputs, targets = corrupt(words, mask, lambda span: f"<extra_id_{span}>")
    return " ".join(inputs), " ".join(targets)


@cache
def longest(noise: SpanNoise, inputs: int, targets: int, sentinels: int) -> int:
    """The longest text whose corrupted form fits: tokens of inputs and of targets, their ends included."""

    def fits(length: int) -> bool:
        hidden, spans = amounts(noise, length)
        return length - hidden + spans < inputs and hidden + spans < targets and spans <= sentinels

    return next(length for length in count(1) if not fits(length + 1))
