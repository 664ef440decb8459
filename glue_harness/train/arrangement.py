"""How the examples of an update stand in the passes through the model: packed into rows, or in buckets of length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from glue_harness.models.interface import Encoded
from glue_harness.models.packing import FINE, Grid, PackedRow, multiple, pack

PASS_COST = 128  # tokens that a pass costs by itself, whatever is in it: measured with the tiny model on a CPU
CUTS = (1, 2, 4, 8)  # passes that an update in buckets may be cut into
COARSE = Grid(width=128, rows=4, depth=16, labels=256)  # few shapes: each is compiled, and tensor cores like them

Arrangement = Callable[[Sequence[Encoded]], list[list[PackedRow]]]  # examples -> passes of rows of their numbers


@dataclass(frozen=True)
class Pass:
    """Rows that the model sees at once."""

    rows: list[list[Encoded]]
    tasks: list[int]  # of each example, row by row
    grid: Grid = FINE
    place: tuple[int, int] = (0, 0)  # which pass of its update, and from which row on: dropout is drawn by it
    idle: bool = False  # done with the others, and for nothing

    @property
    def width(self) -> int:
        return max(multiple(max(sum(e.length for e in row) for row in self.rows), self.grid.width), self.grid.least[0])

    @property
    def depth(self) -> int:
        """The width of the second stream, where there is one."""
        longest = max(sum(sum(e.sizes[1:2]) for e in row) for row in self.rows)
        return max(multiple(longest, self.grid.depth), self.grid.least[1])

    @property
    def padded(self) -> int:
        """Input tokens that the model sees, padding included."""
        return multiple(len(self.rows), self.grid.rows) * self.width

    def cut(self, most: int | None) -> Iterator[Pass]:
        """The same in pieces of at most so many padded tokens, though not of less than a row."""
        if most is None or self.padded <= most:
            yield self
            return
        rows = max(1, most // self.width)
        unit = min(rows, self.grid.rows)  # a piece of fewer rows than the grid's, filled up, would be no smaller
        rows -= rows % unit
        for first in range(0, len(self.rows), rows):
            part = self.part(first, first + rows)
            yield replace(part, grid=part.grid._replace(rows=unit))

    def part(self, first: int, last: int) -> Pass:
        """The rows from `first` up to `last`, as wide as they are here: so they have the same masks of dropout."""
        number, row = self.place
        before, count = (sum(map(len, rows)) for rows in (self.rows[:first], self.rows[first:last]))
        tasks, grid = self.tasks[before : before + count], self.grid._replace(least=(self.width, self.depth))
        return replace(self, rows=self.rows[first:last], tasks=tasks, grid=grid, place=(number, row + first))


def as_passes(
    passes: Sequence[Sequence[PackedRow]], encoded: Sequence[Encoded], tasks: Sequence[int], grid: Grid
) -> list[Pass]:
    return [
        Pass([[encoded[k] for k in row] for row in rows], [tasks[k] for row in rows for k in row], grid, (number, 0))
        for number, rows in enumerate(passes)
    ]


def packed(grid: Grid, most: int | None) -> Arrangement:
    """All in one pass, packed into rows; with a limit, so many examples a pass."""

    def arrange(encoded: Sequence[Encoded]) -> list[list[PackedRow]]:
        size = most or len(encoded)
        sizes = [e.sizes for e in encoded]
        return [
            [[first + k for k in row] for row in pack(sizes[first : first + size], grid)]
            for first in range(0, len(sizes), size)
        ]

    return arrange


def in_buckets(most: int | None) -> Arrangement:
    """One example a row, sorted by length, in the number of passes that costs least; none above `most` examples."""

    def arrange(encoded: Sequence[Encoded]) -> list[list[PackedRow]]:
        return [[[k] for k in part] for part in buckets([e.length for e in encoded], most)]

    return arrange


def buckets(lengths: Sequence[int], most: int | None) -> list[list[int]]:
    ordered = sorted(range(len(lengths)), key=lambda k: lengths[k])
    sizes = {-(-len(ordered) // cuts) for cuts in CUTS}
    allowed = sizes if most is None else {size for size in sizes if size <= most} or {most}
    options = [[ordered[k : k + size] for k in range(0, len(ordered), size)] for size in sorted(allowed, reverse=True)]
    return min(options, key=lambda parts: sum(len(p) * lengths[p[-1]] + PASS_COST for p in parts))


def arrangement(kind: str, on_gpu: bool, most: int | None) -> tuple[Arrangement, Grid]:
    """What a plan's `packing` means. Rows won wherever they were measured, so they are what `auto` stands for."""
    grid = COARSE if on_gpu else FINE
    return in_buckets(most) if kind == "buckets" else packed(grid, most), grid
