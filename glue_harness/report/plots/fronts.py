"""Scores against costs as a picture: a panel for each, with the line of those that nothing beats."""

from __future__ import annotations

from itertools import pairwise
from string import ascii_uppercase

from glue_harness.report.comparison import ComparedScore
from glue_harness.report.costs import WORDS, price
from glue_harness.report.fronts import Fronts
from glue_harness.report.plots import Axis, number, ticks
from glue_harness.report.plots.sheet import (
    HEADING,
    INK,
    PALE,
    POINTS_PER_CM,
    RULE,
    SIZE,
    Mark,
    Sheet,
    Stroke,
    Words,
    inner_width,
    shortened,
    style_of,
    width_of,
)

LINE, GAP, TALL = 1.25 * SIZE, 14.0, 4.6 * POINTS_PER_CM
LEAST_PANEL = 7.0  # cm
UNITS = {"bytes": 1e-6, "nonzero": 1e-6}  # MB, millions
AXES = WORDS | {
    "bytes": "weights on disk, MB",
    "nonzero": "parameters that are not zero, millions",
    "examples_per_second": "ms an example, in batches",
}


def draw_fronts(found: Fronts, width_cm: float) -> Sheet:
    """Below the panels the names of the runs, which the panels call by letters."""
    panels = [(score, cost) for score in found.scores for cost in WORDS]
    width, columns = inner_width(width_cm), max(1, min(2, int(width_cm / LEAST_PANEL)))
    panel, rows = (width - GAP * (columns - 1)) / columns, -(-len(panels) // columns)
    names = [f"{letter}  {name}" for letter, name in zip(ascii_uppercase, found.names, strict=False)]
    below = rows * (TALL + GAP)
    title = f"{', '.join(score.label for score in found.scores)} against what it costs"
    sheet = Sheet(width, below + LINE * (len(names) + 1), title)
    for place, (score, cost) in enumerate(panels):
        left, top = place % columns * (panel + GAP), place // columns * (TALL + GAP)
        _draw(sheet, found, score, cost, left, top, panel)
    for k, name in enumerate(names):
        sheet.add(Words(0, below + LINE * (k + 1), shortened(name, width), color=style_of(k).color))
    return sheet


def _draw(sheet: Sheet, found: Fronts, score: ComparedScore, cost: str, left: float, top: float, width: float) -> None:
    """Rings are on the front; the whiskers are the scores' 95 % intervals."""
    unit, on = UNITS.get(cost, 1.0), found.on(score, cost)
    points = {
        k: (unit * price(spent, cost), stat)
        for k, (spent, stat) in enumerate(zip(found.costs, score.stats, strict=True))
        if spent and stat
    }
    sheet.add(Words(left, top + HEADING, shortened(score.label, width, HEADING), size=HEADING, is_bold=True))
    if not points:
        sheet.add(Words(left, top + 3 * LINE, "no run has both", color=PALE))
        return
    values = [value for _, stat in points.values() for value in (stat.mean, stat.low, stat.high) if value is not None]
    upright, across = ticks(min(values), max(values), most=6), ticks(0.0, max(x for x, _ in points.values()), most=6)
    y, x = Axis("linear", upright[0], upright[-1], upright), Axis("linear", 0.0, across[-1], across)
    start, end = left + max(width_of(number(tick)) for tick in upright) + 5, left + width - 8
    above, floor = top + HEADING * 1.9, top + TALL - 2.6 * LINE

    def at(value_x: float, value_y: float) -> tuple[float, float]:
        return start + x.place(value_x) * (end - start), floor - y.place(value_y) * (floor - above)

    for tick in upright:
        _, height = at(0.0, tick)
        sheet.add(Stroke([(start, height), (end, height)], RULE, 0.5))
        sheet.add(Words(start - 4, height + 0.35 * SIZE, number(tick), "end", PALE))
    for tick in across:
        center, _ = at(tick, y.low)
        sheet.add(Stroke([(center, floor), (center, floor + 2.5)], PALE, 0.5))
        sheet.add(Words(center, floor + 1.35 * LINE, number(tick), "middle", PALE))
    sheet.add(Words((start + end) / 2, floor + 2.45 * LINE, shortened(AXES[cost], width), "middle", INK))
    line = sorted((points[k][0], points[k][1].mean) for k in on)
    steps = [line[0]]
    for (_, before), (costs, reached) in pairwise(line):  # level until the next one's cost
        steps += [(costs, before), (costs, reached)]
    sheet.add(Stroke([at(*step) for step in steps], PALE, 0.8, (4, 1.5)))
    for k, (value, stat) in points.items():
        color, mark, _ = style_of(k)
        if stat.low is not None and stat.high is not None:
            sheet.add(Stroke([at(value, stat.low), at(value, stat.high)], color, 0.7))
        spot = at(value, stat.mean)
        sheet.add(Mark(*spot, color, mark, is_hollow=k in on, radius=3.2 if k in on else 2.4))
        sheet.add(Words(spot[0] + 5, spot[1] - 3, ascii_uppercase[k], color=color, is_bold=k in on))
