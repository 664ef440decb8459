"""Charts on a terminal and in files: where ticks stand, and where the name of each line does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from glue_harness.report.curves import Chart

FEW = 12  # points of a curve that are marked one by one
NICE = (1, 2, 2.5, 5, 10)  # steps between ticks, times a power of ten


class Axis(NamedTuple):
    scale: str  # linear; or log: from 50 to 100 is as far as from 1,000 to 2,000
    low: float
    high: float
    ticks: list[float]

    def place(self, value: float) -> float:
        """From 0 at the low end to 1 at the high end."""
        low, high, at = map(math.log10 if self.scale == "log" else float, (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.5


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers that cover a range, at most so many."""
    if high == low:
        low -= 1  # not above it too: no score is more than 100
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(nice * power for nice in NICE if span / (nice * power) <= most - 1 or nice == NICE[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, max(last, first + 1) + 1)]


def upright(chart: Chart, most: int) -> Axis:
    """The axis of values, deviations included, with ticks from end to end."""
    points = [point for curve in chart.curves for point in curve.points]
    low = min(point.y - (point.deviation or 0) for point in points)
    high = max(point.y + (point.deviation or 0) for point in points)
    if not chart.falls_by_ratios:
        marked = ticks(low, high, most)
        return Axis("linear", marked[0], marked[-1], marked)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    marked = [10.0**power for power in range(first, max(last, first + 1) + 1)]
    return Axis("log", marked[0], marked[-1], marked)


def across(chart: Chart) -> Axis:
    """The axis of examples or steps."""
    values = sorted({point.x for curve in chart.curves for point in curve.points})
    low, high = values[0], values[-1]
    if chart.has_few_points and low > 0:
        return Axis("log", low, high, values)
    return Axis("linear", 0.0, high, [tick for tick in ticks(0.0, high, most=6) if tick <= high])


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as possible to the wanted ones, and at least a gap apart if there is room."""
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    places = [0.0] * len(wanted)
    edge = low
    for k in sorted(range(len(wanted)), key=wanted.__getitem__):
        places[k] = edge = max(wanted[k], edge)
        edge += gap
    edge = high
    for k in sorted(range(len(wanted)), key=places.__getitem__, reverse=True):
        places[k] = edge = min(places[k], edge)
        edge -= gap
    return places


def heading(chart: Chart) -> str:
    """What a chart shows, where there is no room for an upright label."""
    text = f"{chart.title}: {chart.y}" if chart.title else chart.y
    return text[:1].upper() + text[1:]


def number(value: float) -> str:
    """A tick's text: 2,500 and 0.05, never 2500.0."""
    return f"{value:,.10g}"
