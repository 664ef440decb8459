"""A picture as shapes, in points from the top left: what is drawn is decided once, and written as SVG, PNG or PDF.

Made for papers: letters of 8 points whatever the width, on white, in colours that the colour-blind tell apart, and
never by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

POINTS_PER_CM = 72 / 2.54
SIZE, HEADING = 8.0, 9.0  # of letters
MARGIN = 4.0  # around a sheet
INK, PALE, RULE = "#222222", "#666666", "#d9d9d9"
# Okabe and Ito (2008), without the yellow that white swallows; each with a mark and a dash of its own
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
MARKS = ("circle", "square", "triangle", "diamond")
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.5), (1.2, 1.2), (5, 1.5, 1.2, 1.5))
NARROW, WIDE = "fijlrtI.,:;'|!()[] ", "mwMW@%"


class Stroke(NamedTuple):
    points: Sequence[tuple[float, float]]
    color: str
    width: float = 1.2
    dash: tuple[float, ...] = ()


class Area(NamedTuple):
    points: Sequence[tuple[float, float]]
    color: str
    share: float = 0.18  # of its colour


class Mark(NamedTuple):
    x: float
    y: float
    color: str
    kind: str = MARKS[0]
    is_hollow: bool = False
    radius: float = 2.4

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Of what is no circle."""
        r = self.radius
        shapes = {
            "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
            "triangle": ((0, -1.25), (1.15, 0.9), (-1.15, 0.9)),
            "diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
        }
        return [(self.x + r * x, self.y + r * y) for x, y in shapes[self.kind]]


class Words(NamedTuple):
    x: float
    y: float  # of the line that letters stand on
    text: str
    anchor: str = "start"  # middle, end
    color: str = INK
    size: float = SIZE
    is_bold: bool = False


Shape = Stroke | Area | Mark | Words


@dataclass
class Sheet:
    """Without its margin."""

    width: float
    height: float
    title: str  # for those who cannot see it
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        self.shapes += shapes


def inner_width(width_cm: float) -> float:
    return width_cm * POINTS_PER_CM - 2 * MARGIN


class Style(NamedTuple):
    """How one line of several is told from the others."""

    color: str
    mark: str
    dash: tuple[float, ...]


def style_of(place: int) -> Style:
    return Style(COLORS[place % len(COLORS)], MARKS[place % len(MARKS)], DASHES[place // len(COLORS) % len(DASHES)])


def width_of(text: str, size: float = SIZE) -> float:
    """About as wide as the usual sans-serif letters are: whoever shows it has fonts of their own."""
    return size * sum(0.38 if c in NARROW else 0.96 if c in WIDE else 0.63 for c in text)


def shortened(text: str, room: float, size: float = SIZE) -> str:
    """The text, or its beginning and an ellipsis."""
    if width_of(text, size) <= room:
        return text
    while text and width_of(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"
