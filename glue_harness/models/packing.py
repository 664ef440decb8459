"""Several examples in one row of tokens: T5's own greedy packer, and one that fills rows better.

Packers see sizes only and give rows of indices; `lay_out` makes the arrays of a feature from such rows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

Stream = Sequence[int] | np.ndarray  # tokens: a list, or an array that looks into a cache
Lengths = Sequence[int]  # of an example's streams: a T5's input and target, an encoder's only input
PackedRow = list[int]  # the examples that stand in it, by number

ATTENTION = 1500  # tokens: a row of that width pays as much for attention as for everything else, on a CPU
WIDTHS = 12  # tried at most
SLACK = 2  # a row may hold so many times the tokens of another stream that its first stream brings on average


class Grid(NamedTuple):
    """What the sides of a batch are multiples of. Coarse grids give few shapes, which a compiler wants."""

    width: int = 1
    rows: int = 1
    depth: int = 1  # of the streams after the first
    labels: int = 1
    least: tuple[int, int] = (0, 0)  # width and depth, where rows of a larger batch keep those that they had there


FINE = Grid()


def t5_rows(examples: Iterable[Lengths], lengths: Lengths) -> list[PackedRow]:
    """T5's packer: greedy, in order, in groups of max(lengths) examples; no row goes on into the next group."""
    sizes, group = list(examples), max(lengths)
    rows: list[PackedRow] = []
    for first in range(0, len(sizes), group):
        filled = None
        for number in range(first, min(first + group, len(sizes))):
            if filled is not None and all(
                f + s <= most for f, s, most in zip(filled, sizes[number], lengths, strict=True)
            ):
                rows[-1].append(number)
                filled = [f + s for f, s in zip(filled, sizes[number], strict=True)]
            else:
                rows.append([number])
                filled = list(sizes[number])
    return rows


def best_fit(sizes: Sequence[Lengths], width: int, depths: Lengths) -> list[PackedRow]:
    """Longest first, each into the fullest row that still has room for it: `width` in the first stream,
    `depths` (or what the row's first example takes) in the others."""
    rows: list[PackedRow] = []
    room: list[tuple[int, int, Lengths]] = []  # left in the first stream, row, left in the others; sorted
    for number in sorted(range(len(sizes)), key=lambda k: (-sizes[k][0], k)):
        first, *others = sizes[number]
        place = bisect_left(room, (first,))
        while place < len(room) and any(need > free for need, free in zip(others, room[place][2], strict=True)):
            place += 1
        if place < len(room):
            left, row, free = room.pop(place)
        else:
            left, row, free = width, len(rows), [max(pair) for pair in zip(depths, others, strict=True)]
            rows.append([])
        rows[row].append(number)
        insort(room, (left - first, row, [free - need for free, need in zip(free, others, strict=True)]))
    return [sorted(row) for row in rows]


def pack(sizes: Sequence[Lengths], grid: Grid = FINE) -> list[PackedRow]:
    """Rows of the width that costs least: wide ones waste less padding, and more attention between strangers."""
    totals, longest = zip(*((sum(stream), max(stream)) for stream in zip(*sizes, strict=True)), strict=True)
    least = multiple(longest[0], grid.width)
    step = max(grid.width, -(-least // WIDTHS // grid.width) * grid.width)

    def depths(width: int) -> list[int]:
        """A row's share of the other streams, with some slack."""
        return [most + SLACK * width * total // totals[0] for most, total in zip(longest[1:], totals[1:], strict=True)]

    options = [best_fit(sizes, width, depths(width)) for width in range(least, 2 * least + 1, step)]
    return min(options, key=lambda rows: cost(rows, sizes, grid))


def cost(rows: Sequence[PackedRow], sizes: Sequence[Lengths], grid: Grid = FINE) -> float:
    """Of a batch, in tokens."""
    width = multiple(max(sum(sizes[k][0] for k in row) for row in rows), grid.width)
    return multiple(len(rows), grid.rows) * width * (1 + width / ATTENTION)


class Laid(NamedTuple):
    """One feature of packed rows: ids, their places within their examples, and which example of the row they are of."""

    ids: np.ndarray
    positions: np.ndarray
    segments: np.ndarray  # from 1; 0 is padding


def lay_out(rows: Sequence[Sequence[Stream]], height: int, length: int, pad: int = 0) -> Laid:
    """Sequences one behind the other in rows, padded to `height` rows of `length`."""
    ids = np.full((height, length), pad, np.int64)
    positions, segments = np.zeros((2, height, length), np.int64)
    for number, row in enumerate(rows):
        start, segment = 0, 0
        for sequence in row:
            end = start + len(sequence)
            segment += end > start  # an empty one has no number
            ids[number, start:end] = sequence
            positions[number, start:end] = np.arange(end - start)
            segments[number, start:end] = segment
            start = end
    return Laid(ids, positions, segments * (ids != pad))  # T5's way, also where an example holds a 0


def decoder_inputs(ids: np.ndarray, segments: np.ndarray | None, start: int = 0) -> np.ndarray:
    """Targets one place later; each segment begins with the start token. Without segments a row is one target."""
    shifted = np.roll(ids, 1, axis=-1)
    shifted[..., 0] = start
    if segments is None:
        return shifted
    goes_on = segments == np.roll(segments, 1, axis=-1)
    goes_on[..., 0] = False
    return np.where(goes_on, shifted, start)


def multiple(number: int, of: int) -> int:
    """The least multiple that is not smaller."""
    return -(-number // of) * of
