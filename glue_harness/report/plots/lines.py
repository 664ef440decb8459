"""Curves in a grid of panels, each line named at its end: no legend to look up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from glue_harness.report.curves import Chart
from glue_harness.report.plots import FEW, across, heading, number, spread_out, upright
from glue_harness.report.plots.sheet import (
    HEADING,
    INK,
    PALE,
    POINTS_PER_CM,
    RULE,
    SIZE,
    Area,
    Mark,
    Sheet,
    Stroke,
    Words,
    inner_width,
    shortened,
    style_of,
    width_of,
)

LEAST_PANEL = 7.0  # cm
GAP = 14.0  # points between panels
LINE = 1.25 * SIZE


def draw_lines(charts: Sequence[Chart], width_cm: float) -> Sheet:
    width = inner_width(width_cm)
    columns = max(1, min(len(charts), int(width_cm / LEAST_PANEL)))
    rows = -(-len(charts) // columns)
    panel = (width - GAP * (columns - 1)) / columns
    height = min(max(0.6 * panel, 4.0 * POINTS_PER_CM), 6.0 * POINTS_PER_CM)
    title = "; ".join(f"{heading(chart)} against {chart.x}" for chart in charts)
    sheet = Sheet(width, rows * height + (rows - 1) * GAP, title)
    for place, chart in enumerate(charts):
        draw(sheet, chart, place % columns * (panel + GAP), place // columns * (height + GAP), panel, height)
    return sheet


def draw(sheet: Sheet, chart: Chart, left: float, top: float, width: float, height: float) -> None:
    """One panel. What is measured has its marks, with one standard deviation as a band."""
    x, y = across(chart), upright(chart, most=6)
    labels = [shortened(curve.label, 0.34 * width) for curve in chart.curves]
    start = left + max(width_of(number(tick)) for tick in y.ticks) + 5
    end = left + width - max(map(width_of, labels)) - 10
    above, below = top + HEADING * 1.9, top + height - 2.6 * LINE

    def at(value_x: float, value_y: float) -> tuple[float, float]:
        return start + x.place(value_x) * (end - start), below - y.place(value_y) * (below - above)

    sheet.add(Words(left, top + HEADING, shortened(heading(chart), width, HEADING), size=HEADING, is_bold=True))
    for tick in y.ticks:
        height_of = below - y.place(tick) * (below - above)
        sheet.add(Stroke([(start, height_of), (end, height_of)], RULE, 0.5))
        sheet.add(Words(start - 4, height_of + 0.35 * SIZE, number(tick), "end", PALE))
    taken = -math.inf
    for tick in x.ticks:
        center, text = start + x.place(tick) * (end - start), number(tick)
        if center - width_of(text) / 2 > taken + 3:  # numbers that would touch are left out
            taken = center + width_of(text) / 2
            sheet.add(Stroke([(center, below), (center, below + 2.5)], PALE, 0.5))
            sheet.add(Words(center, below + 1.35 * LINE, text, "middle", PALE))
    sheet.add(Words((start + end) / 2, below + 2.45 * LINE, chart.x, "middle", INK))
    wanted = [y.place(curve.points[-1].y) for curve in chart.curves]
    places = spread_out(wanted, LINE / (below - above), 0, 1)
    for k, (curve, label, place) in enumerate(zip(chart.curves, labels, places, strict=True)):
        color, mark, dash = style_of(k)
        if spread := [point for point in curve.points if point.deviation is not None]:
            low = [at(p.x, max(y.low, p.y - (p.deviation or 0))) for p in spread]
            high = [at(p.x, p.y + (p.deviation or 0)) for p in spread]
            sheet.add(Area([*high, *reversed(low)], color))
        points = [at(point.x, point.y) for point in curve.points]
        sheet.add(Stroke(points, color, 1.2, dash))
        sheet.add(*(Mark(*point, color, mark) for point in (points if len(points) <= FEW else points[-1:])))
        sheet.add(Words(end + 6, below - place * (below - above) + 0.35 * SIZE, label, color=color))
