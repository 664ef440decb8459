"""A sheet as PNG or PDF, by matplotlib, which only these need."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from glue_harness.report.console import one_line
from glue_harness.report.plots.sheet import MARGIN, Area, Mark, Shape, Sheet, Stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS_PER_INCH = 300
STYLE = {"font.family": "sans-serif", "pdf.fonttype": 42}  # letters stay letters, which publishers ask for


def render(sheet: Sheet, ending: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=((sheet.width + 2 * MARGIN) / 72, (sheet.height + 2 * MARGIN) / 72))
        canvas = figure.add_axes((0, 0, 1, 1))
        canvas.set_xlim(-MARGIN, sheet.width + MARGIN)
        canvas.set_ylim(sheet.height + MARGIN, -MARGIN)
        canvas.set_axis_off()
        for order, shape in enumerate(sheet.shapes):
            draw(canvas, shape, order)
        file = io.BytesIO()
        metadata: dict[str, Any] = {"CreationDate": None} if ending == ".pdf" else {}
        figure.savefig(file, format=ending[1:], dpi=DOTS_PER_INCH, metadata=metadata)
    return file.getvalue()


def draw(canvas: Axes, shape: Shape, order: int) -> None:
    from matplotlib.patches import Circle, Polygon

    if isinstance(shape, Stroke):
        xs, ys = [x for x, _ in shape.points], [y for _, y in shape.points]
        dash: Any = (0, tuple(part / shape.width for part in shape.dash)) if shape.dash else "-"
        canvas.plot(xs, ys, color=shape.color, linewidth=shape.width, linestyle=dash, zorder=order)
    elif isinstance(shape, Area):
        canvas.add_patch(Polygon(shape.points, color=shape.color, alpha=shape.share, linewidth=0, zorder=order))
    elif isinstance(shape, Mark):
        face = "#ffffff" if shape.is_hollow else shape.color
        look: dict[str, Any] = {"facecolor": face, "edgecolor": shape.color, "linewidth": 1.0, "zorder": order}
        circle = shape.kind == "circle"
        at = (shape.x, shape.y)
        canvas.add_patch(Circle(at, shape.radius, **look) if circle else Polygon(shape.corners, **look))
    else:
        anchor = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        weight = "bold" if shape.is_bold else "normal"
        # matplotlib reads $...$ as formulas
        text = one_line(shape.text).replace("$", r"\$")
        look = {"color": shape.color, "fontsize": shape.size * 0.92, "fontweight": weight, "zorder": order}
        canvas.text(shape.x, shape.y, text, ha=anchor, va="baseline", **look)
