"""Charts as one SVG or PNG. Greys and colours in the middle of the scale: they read on white and on black."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from glue_harness.core.errors import UsageError
from glue_harness.report.curves import Chart
from glue_harness.report.plots import FEW, across, heading, number, spread_out, upright

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS = (".svg", ".png")
COLORS = ("#3b82c4", "#d9534f", "#3a9d5d", "#a566c9", "#c7871f", "#2aa198", "#c45590", "#8a7a5c", "#7f8fd9")
GREY = "#808080"
PANEL = (6.0, 3.6)  # inches
DOTS_PER_INCH = 160
LINE_OF_TEXT = 0.07  # of a panel's height
STYLE = {
    "font.size": 10,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY),
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "glue",  # the same chart is the same file
}


def check(ending: str) -> None:
    """What can be known to fail before anything is read."""
    if ending not in ENDINGS:
        raise UsageError(f"--out must end in {' or '.join(ENDINGS)}, not {ending or 'nothing'}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("glue curve --out needs matplotlib: pip install 'glue-harness[plot]'") from None


def render(charts: Sequence[Chart], ending: str) -> bytes:
    """All charts in a grid."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(len(charts), 2 if len(charts) < 7 else 3)
    rows = -(-len(charts) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for panel, chart in zip(panels, charts, strict=False):
            draw(panel, chart)
        for panel in panels[len(charts) :]:
            panel.set_axis_off()
        file = io.BytesIO()
        metadata = {"Date": None} if ending == ".svg" else None
        figure.savefig(file, format=ending[1:], dpi=DOTS_PER_INCH, transparent=True, metadata=metadata)
    return file.getvalue()


def draw(panel: Axes, chart: Chart) -> None:
    x, y = across(chart), upright(chart, most=6)
    places = spread_out([y.place(curve.points[-1].y) for curve in chart.curves], LINE_OF_TEXT, 0, 1)
    for curve, place, color in zip(chart.curves, places, cycle(COLORS), strict=False):
        xs, ys = [p.x for p in curve.points], [p.y for p in curve.points]
        marker = "o" if len(xs) <= FEW else None
        panel.plot(xs, ys, color=color, linewidth=1.8, marker=marker, markersize=4, clip_on=False)
        if spread := [(p.x, p.y, p.deviation) for p in curve.points if p.deviation is not None]:
            lows, highs = [y - deviation for _, y, deviation in spread], [y + deviation for _, y, deviation in spread]
            panel.fill_between([x for x, _, _ in spread], lows, highs, color=color, alpha=0.18, linewidth=0)
        panel.annotate(  # the name at the curve's end, where the eye is: no legend to look up
            curve.label,
            (1, place),
            xycoords="axes fraction",
            xytext=(8, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
    panel.set_yscale(y.scale)
    panel.set_ylim(y.low, y.high)
    panel.set_yticks(y.ticks, [number(value) for value in y.ticks])
    panel.set_xscale(x.scale)
    shown = apart(x.ticks) if x.scale == "log" else x.ticks
    panel.minorticks_off()
    panel.set_xticks(shown, [number(value) for value in shown])
    panel.set_xlabel(chart.x)
    panel.set_title(heading(chart), loc="left", fontweight="bold", fontsize=11)
    panel.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)


def apart(values: Sequence[float], least: float = 0.08) -> list[float]:
    """Values whose numbers do not touch on an axis of ratios."""
    whole = math.log(values[-1] / values[0]) or 1.0
    found: list[float] = []
    for value in values:
        if not found or math.log(value / found[-1]) / whole >= least:
            found.append(value)
    return found
