"""A chart as lines of text: dots of Braille signs, 2 x 4 in each place, and a mark on each measured point.

Every line is named at its right end, by its mark as well as by its colour: it reads without colours too.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import cycle, pairwise

from rich.text import Text

from glue_harness.report.curves import Chart
from glue_harness.report.plots import FEW, Axis, across, heading, number, spread_out, upright

COLORS = ("blue", "red", "green", "magenta", "cyan", "yellow", "bright_blue", "bright_red", "bright_green")
MARKS = "●▲■◆○△□◇★"
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a Braille sign, by row and column
HEIGHT = 16
LONGEST = 28  # of the names of curves
Place = tuple[int, int]


class Canvas:
    """Signs in places; (0, 0) is the top left. What is drawn has its x and y from 0 to 1, upwards."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.dots: dict[Place, int] = defaultdict(int)
        self.marks: dict[Place, str] = {}
        self.styles: dict[Place, str] = {}

    def dot_at(self, x: float, y: float) -> Place:
        return round(x * (2 * self.width - 1)), round((1 - y) * (4 * HEIGHT - 1))

    def line(self, start: tuple[float, float], end: tuple[float, float], style: str) -> None:
        (x0, y0), (x1, y1) = self.dot_at(*start), self.dot_at(*end)
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for k in range(steps + 1):
            column, row = self.dot_at(*(a + k / steps * (b - a) for a, b in zip(start, end, strict=True)))
            self.dots[column // 2, row // 4] |= DOTS[row % 4][column % 2]
            self.styles[column // 2, row // 4] = style

    def mark(self, x: float, y: float, sign: str, style: str) -> None:
        column, row = self.dot_at(x, y)
        self.marks[column // 2, row // 4], self.styles[column // 2, row // 4] = sign, style

    def row(self, row: int) -> Text:
        text = Text()
        for place in ((column, row) for column in range(self.width)):
            sign = self.marks.get(place) or (chr(0x2800 + self.dots[place]) if place in self.dots else " ")
            text.append(sign, style=self.styles.get(place, ""))
        return text


def draw(chart: Chart, width: int) -> list[Text]:
    """The chart in so many columns."""
    x, y = across(chart), upright(chart, most=5)
    names = [curve.label for curve in chart.curves]
    labels = [name if len(name) <= LONGEST else name[: LONGEST - 1] + "…" for name in names]
    margin, room = max(len(number(tick)) for tick in y.ticks) + 1, max(len(chart.x), 2 + max(map(len, labels)))
    canvas = Canvas(max(10, width - margin - room - 2))
    for curve, color, sign in zip(chart.curves, cycle(COLORS), cycle(MARKS), strict=False):
        places = [(x.place(point.x), y.place(point.y)) for point in curve.points]
        for start, end in pairwise(places):
            canvas.line(start, end, color)
        for point, (at, _) in zip(curve.points, places, strict=True):
            if spread := point.deviation:
                canvas.line((at, y.place(point.y - spread)), (at, y.place(point.y + spread)), color)
        for place in places if len(places) <= FEW else places[-1:]:
            canvas.mark(*place, sign, color)
    tick_rows = {round((1 - y.place(tick)) * (HEIGHT - 1)): number(tick) for tick in y.ticks}
    ends = [(1 - y.place(curve.points[-1].y)) * (HEIGHT - 1) for curve in chart.curves]
    label_rows = {round(place): k for k, place in enumerate(spread_out(ends, 1, 0, HEIGHT - 1))}
    found = [Text(heading(chart), style="bold")]
    for row in range(HEIGHT):
        text = Text(f"{tick_rows.get(row, ''):>{margin - 1}}" + ("┤" if row in tick_rows else "│"), style="dim")
        text.append_text(canvas.row(row))
        if row in label_rows:
            k = label_rows[row]
            text.append(f" {MARKS[k % len(MARKS)]} {labels[k]}", style=COLORS[k % len(COLORS)])
        found.append(text)
    found.append(Text(" " * (margin - 1) + "└" + "─" * canvas.width, style="dim"))
    found.append(Text(" " * margin + numbers_below(x, canvas.width) + f" {chart.x}", style="dim"))
    return found


def numbers_below(axis: Axis, width: int) -> str:
    """The numbers of the level axis, as many as have room."""
    text = [" "] * (width + 1)
    for tick in axis.ticks:
        label = number(tick)
        start = min(max(0, round(axis.place(tick) * (width - 1)) - len(label) // 2), width + 1 - len(label))
        if all(sign == " " for sign in text[max(0, start - 1) : start + len(label) + 1]):
            text[start : start + len(label)] = label
    return "".join(text)
