"""Values with their intervals, a line each: differences of a comparison, averages of a board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from glue_harness.report.comparison import Comparison
from glue_harness.report.experiments import Stat
from glue_harness.report.plots import number, ticks
from glue_harness.report.plots.sheet import (
    INK,
    PALE,
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
from glue_harness.report.rows import Board

LINE = 1.9 * SIZE  # from one value to the next
MOST_LABEL = 0.45  # of the width


class Interval(NamedTuple):
    value: float
    low: float | None = None
    high: float | None = None
    is_hollow: bool = False  # not ours, or not sure


class Intervals(NamedTuple):
    x: str
    series: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Interval | None, ...]], ...]  # label, and one for each of the series
    zero: bool = False  # whether 0 means something
    below: str = ""


def of_comparison(comparison: Comparison) -> Intervals:
    """Differences to the first, filled where the test is sure after Holm's correction."""
    lines = []
    for score in comparison.scores:
        found = [Interval(d.value, d.low, d.high, not d.is_sure) if d else None for d in score.differences[1:]]
        if any(found):
            lines.append((score.label, tuple(found)))
    first, *others = (experiment.name for experiment in comparison.experiments)
    below = "95 % intervals; filled: different after Holm's correction"
    return Intervals(f"difference to {first}", tuple(others), tuple(lines), zero=True, below=below)


def of_board(board: Board) -> Intervals:
    """Averages in the order of the board, or where it has none the values of its columns. Published rows are hollow."""
    rows = [row for row in board.rows if row.average] or [row for row in board.rows if row.values]
    has_average = any(row.average for row in rows)
    columns = [] if has_average else [column for column in board.columns if any(column in row.values for row in rows)]
    lines = []
    for row in rows:
        stats = [row.average] if has_average else [row.values.get(column) for column in columns]
        rank = "" if row.rank is None else f"{row.rank}. "
        name = row.name or row.model
        lines.append((rank + name, tuple(_interval(stat, not row.runs) for stat in stats)))
    series = (f"average of {board.suite}",) if has_average else tuple(column.label for column in columns)
    below = "95 % intervals where known; rows of one rank are not told apart by a test"
    below += "; hollow: published" if any(not row.runs for row in rows) else ""
    return Intervals(series[0] if len(series) == 1 else "score", series, tuple(lines), below=below)


def _interval(stat: Stat | None, is_hollow: bool) -> Interval | None:
    return None if stat is None else Interval(stat.mean, stat.low, stat.high, is_hollow)


def draw_intervals(chart: Intervals, width_cm: float) -> Sheet:
    width, several = inner_width(width_cm), len(chart.series) > 1
    room = MOST_LABEL * width
    labels = [shortened(label, room) for label, _ in chart.lines]
    legend = _legend(chart.series, width) if several else []
    top = len(legend) * 1.4 * SIZE + (0.8 * SIZE if legend else 0)
    each = LINE * max(1.0, 0.55 * len(chart.series))
    bottom = top + each * len(chart.lines)
    sheet = Sheet(width, bottom + 5.2 * SIZE, f"{chart.x}: {len(chart.lines)} lines with their 95 % intervals")
    start, end = max(map(width_of, labels)) + 10, width - 8
    known = [bound for _, found in chart.lines for one in found if one for bound in _bounds(one)]
    if chart.zero:
        known.append(0.0)
    marked = ticks(min(known), max(known), most=max(3, min(8, int((end - start) / 40))))
    low, high = marked[0], marked[-1]

    def at(value: float) -> float:
        return start + (value - low) / (high - low) * (end - start)

    for tick in marked:
        is_zero = chart.zero and abs(tick) < 1e-9
        sheet.add(Stroke([(at(tick), top), (at(tick), bottom)], PALE if is_zero else RULE, 0.9 if is_zero else 0.5))
        sheet.add(Words(at(tick), bottom + 1.4 * SIZE, number(tick), "middle", PALE))
    sheet.add(Words((start + end) / 2, bottom + 2.9 * SIZE, shortened(chart.x, end - start), "middle", INK))
    if chart.below:
        sheet.add(Words(width, bottom + 4.6 * SIZE, shortened(chart.below, width, SIZE - 1), "end", PALE, SIZE - 1))
    for row, (label, (_, found)) in enumerate(zip(labels, chart.lines, strict=True)):
        middle = top + each * (row + 0.5)
        sheet.add(Words(start - 8, middle + 0.35 * SIZE, label, "end"))
        for k, one in enumerate(found):
            if one is None:
                continue
            color, mark, _ = style_of(k)
            y = middle + (k - (len(found) - 1) / 2) * each * 0.8 / len(found)
            if one.low is not None and one.high is not None:
                sheet.add(Stroke([(at(one.low), y), (at(one.high), y)], color, 1.2))
            sheet.add(Mark(at(one.value), y, color, mark, one.is_hollow))
    for line, y in zip(legend, (SIZE * (1 + 1.4 * k) for k in range(len(legend))), strict=True):
        for k, x, text in line:
            color, mark, _ = style_of(k)
            sheet.add(Mark(x + 3, y - 0.35 * SIZE, color, mark), Words(x + 9, y, text))
    return sheet


def _bounds(one: Interval) -> list[float]:
    return [bound for bound in (one.value, one.low, one.high) if bound is not None]


def _legend(series: Sequence[str], width: float) -> list[list[tuple[int, float, str]]]:
    """Which mark is whose, in as many lines as it takes: the place of each, its x, its text."""
    lines: list[list[tuple[int, float, str]]] = [[]]
    x = 0.0
    for k, name in enumerate(series):
        text = shortened(name, width - 12)
        if lines[-1] and x + 9 + width_of(text) > width:
            lines.append([])
            x = 0.0
        lines[-1].append((k, x, text))
        x += 9 + width_of(text) + 12
    return lines
