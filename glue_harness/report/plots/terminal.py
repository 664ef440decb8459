"""A chart as lines of text: dots of Braille signs, 2 x 4 in each place, and a mark on each measured point.

Every line is named at its right end, by its mark as well as by its colour: it reads without colours too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from rich.text import Text

from glue_harness.report.curves import Chart, Line
from glue_harness.report.plots import heading, levels, number, shape, spread_out, ticks

COLORS = ("blue", "red", "green", "magenta", "cyan", "yellow", "bright_blue", "bright_red", "bright_green")
MARKS = "●▲■◆○△□◇★"
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a Braille sign, by row and column
HEIGHT = 16
LONGEST_LABEL = 28
FEW = 12  # points of a line that are marked one by one


class Canvas:
    """Signs in places; (0, 0) is the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.dots: dict[tuple[int, int], int] = {}
        self.signs: dict[tuple[int, int], str] = {}
        self.styles: dict[tuple[int, int], str] = {}

    def dot(self, x: float, y: float, style: str) -> None:
        """x and y from 0 to 1, upwards."""
        column, row = self.dot_at(x, y)
        place = column // 2, row // 4
        self.dots[place] = self.dots.get(place, 0) | DOTS[row % 4][column % 2]
        self.styles[place] = style

    def dot_at(self, x: float, y: float) -> tuple[int, int]:
        return round(x * (2 * self.width - 1)), round((1 - y) * (4 * self.height - 1))

    def line(self, start: tuple[float, float], end: tuple[float, float], style: str) -> None:
        (x0, y0), (x1, y1) = self.dot_at(*start), self.dot_at(*end)
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for k in range(steps + 1):
            share = k / steps
            self.dot(start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]), style)

    def mark(self, x: float, y: float, sign: str, style: str) -> None:
        column, row = self.dot_at(x, y)
        place = column // 2, row // 4
        self.signs[place], self.styles[place] = sign, style

    def row(self, row: int) -> Text:
        text = Text()
        for column in range(self.width):
            place = column, row
            sign = self.signs.get(place) or (chr(0x2800 + self.dots[place]) if place in self.dots else " ")
            text.append(sign, style=self.styles.get(place, ""))
        return text


def draw(chart: Chart, width: int) -> list[Text]:
    """The chart in so many columns."""
    marked, shaped = levels(chart, most=5), shape(chart)
    low, high = shaped(marked[0]), shaped(marked[-1])
    names = [cut(line.label) for line in chart.lines]
    margin, room = max(len(number(level)) for level in marked) + 1, max(len(chart.x), 2 + max(map(len, names)))
    canvas = Canvas(max(10, width - margin - room - 2), HEIGHT)
    across, below = x_axis(chart, canvas.width)

    def up(y: float) -> float:
        return (shaped(y) - low) / (high - low)

    for k, line in enumerate(chart.lines):
        draw_line(canvas, line, across, up, COLORS[k % len(COLORS)], MARKS[k % len(MARKS)])
    tick_rows = {round((1 - up(level)) * (HEIGHT - 1)): number(level) for level in marked}
    ends = [(1 - up(line.points[-1].y)) * (HEIGHT - 1) for line in chart.lines]
    label_rows = {round(place): k for k, place in enumerate(spread_out(ends, 1, 0, HEIGHT - 1))}
    found = [Text(heading(chart), style="bold")]
    for row in range(HEIGHT):
        text = Text(f"{tick_rows.get(row, ''):>{margin - 1}}" + ("┤" if row in tick_rows else "│"), style="dim")
        text.append_text(canvas.row(row))
        if row in label_rows:
            k = label_rows[row]
            text.append(f" {MARKS[k % len(MARKS)]} {names[k]}", style=COLORS[k % len(COLORS)])
        found.append(text)
    found.append(Text(" " * (margin - 1) + "└" + "─" * canvas.width, style="dim"))
    found.append(Text(" " * margin + below + f" {chart.x}", style="dim"))
    return found


def draw_line(
    canvas: Canvas, line: Line, across: Callable[[float], float], up: Callable[[float], float], style: str, mark: str
) -> None:
    places = [(across(point.x), up(point.y)) for point in line.points]
    for start, end in pairwise(places):
        canvas.line(start, end, style)
    for point, (x, _) in zip(line.points, places, strict=True):
        if point.deviation:
            canvas.line((x, up(point.y - point.deviation)), (x, up(point.y + point.deviation)), style)
    for place in places if len(places) <= FEW else places[-1:]:
        canvas.mark(*place, mark, style)


def x_axis(chart: Chart, width: int) -> tuple[Callable[[float], float], str]:
    """Where an x lies between 0 and 1, and the numbers below the axis."""
    values = sorted({point.x for line in chart.lines for point in line.points})
    low, high = values[0], values[-1]
    if chart.has_few_points and low > 0:  # ratios: from 50 to 100 is as far as from 1,000 to 2,000
        low, high, shape, shown = math.log(low), math.log(high), math.log, values
    else:
        low, shape = 0.0, float
        shown = [tick for tick in ticks(0.0, high, most=6) if tick <= high]

    def across(x: float) -> float:
        return (shape(x) - low) / (high - low) if high > low else 0.5

    text = [" "] * (width + 1)
    for value in shown:
        label = number(value)
        start = min(max(0, round(across(value) * (width - 1)) - len(label) // 2), width + 1 - len(label))
        if all(sign == " " for sign in text[max(0, start - 1) : start + len(label) + 1]):
            text[start : start + len(label)] = label
    return across, "".join(text)


def cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
