"""Dropout whose mask is cheap on a CPU, and there a function of the row that it is for.

Torch draws one random number for each value there, one after the other. And a pass may be cut by its rows, for want of
memory or among processes: a row whose stream of random numbers is its own has the same mask in whatever part it stands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 1 << 16  # a mask's draws are 16 bits, four of them from each random word


class Streams:
    """One generator for each row of a pass, made when the first mask is drawn."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = seeds
        self.made: list[torch.Generator] = []
        self.counts: Sequence[int] | None = None  # of each row, where the first dimension is not rows

    @property
    def generators(self) -> list[torch.Generator]:
        if not self.made:
            self.made = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        return self.made

    def drawn(self, x: Tensor) -> Tensor | None:
        """16 random bits for each value, row by row; None if the tensor is not made of rows."""
        if self.counts is not None:
            each = x.numel() // max(1, sum(self.counts))
            parts = [drawn(count * each, made) for count, made in zip(self.counts, self.generators, strict=True)]
            return torch.cat(parts).view(x.shape)
        if x.shape[0] % len(self.seeds):
            return None
        each = x.numel() // len(self.seeds)
        words = torch.empty(len(self.seeds), -(-each // 4), dtype=torch.int64)
        for row, made in zip(words, self.generators, strict=True):
            row.random_(-(2**63), None, generator=made)
        return words.view(torch.int16)[:, :each].reshape(x.shape)


_rows: ContextVar[Streams | None] = ContextVar("rows", default=None)


@contextlib.contextmanager
def drawn_by_rows(seeds: Sequence[int]) -> Iterator[None]:
    """Inside, what has rows as its first dimension is masked by their streams; anything else by torch's own."""
    before = _rows.set(Streams(seeds))
    try:
        yield
    finally:
        _rows.reset(before)


@contextlib.contextmanager
def counted(counts: Sequence[int] | None) -> Iterator[None]:
    """Inside, the first dimension is not rows: so many entries are of the first row, so many of the second, ..."""
    streams = _rows.get()
    if streams is None or counts is None or len(counts) != len(streams.seeds):
        yield
        return
    streams.counts = counts
    try:
        yield
    finally:
        streams.counts = None


def drawn_again() -> tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]:
    """For torch's `checkpoint`, which computes something twice: the second time with the masks of the first."""
    streams = _rows.get()
    states = [made.get_state() for made in streams.generators] if streams else []

    @contextlib.contextmanager
    def again() -> Iterator[None]:
        generators = streams.generators if streams else []
        later = [made.get_state() for made in generators]
        for made, state in zip(generators, states, strict=True):
            made.set_state(state)
        yield
        for made, state in zip(generators, later, strict=True):
            made.set_state(state)

    return contextlib.nullcontext(), again()


class Dropout(nn.Dropout):
    """nn.Dropout, to 1/65,536 of the rate, in a tenth of the time."""

    def forward(self, x: Tensor) -> Tensor:
        return dropped(x, self.p) if self.training else x


def dropped(x: Tensor, rate: float) -> Tensor:
    if x.device.type != "cpu" or torch.compiler.is_compiling():  # a graph cannot hold our way of drawing
        return functional.dropout(x, rate)
    return _OnCPU.apply(x, rate) if rate else x


class _OnCPU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, rate: float) -> Tensor:
        streams = _rows.get()
        found = streams.drawn(x) if streams else None
        if found is None:
            found = drawn(x.numel()).view(x.shape)
        kept = found >= round(rate * LEVELS) - LEVELS // 2
        scale = kept.to(x.dtype).mul_(1 / (1 - rate))  # once; a product with booleans would convert them each time
        context.save_for_backward(scale)
        return x * scale

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (scale,) = context.saved_tensors
        return gradient * scale, None


def drawn(count: int, generator: torch.Generator | None = None) -> Tensor:
    """So many times 16 random bits."""
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.int16)[:count]


def replace_dropout(module: nn.Module, kind: type[nn.Dropout] = Dropout) -> None:
    """Every dropout of a model becomes one of this kind, of the same rate."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.Dropout):
                setattr(part, name, kind(child.p).train(child.training))
