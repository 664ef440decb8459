"""A sheet as SVG, by hand: text stays text, and the same picture is the same file."""

from __future__ import annotations

from html import escape

from glue_harness.report.console import one_line
from glue_harness.report.plots.sheet import MARGIN, POINTS_PER_CM, Area, Mark, Shape, Sheet, Stroke

FONT = "Helvetica, Arial, Liberation Sans, sans-serif"


def render(sheet: Sheet) -> bytes:
    width, height = sheet.width + 2 * MARGIN, sheet.height + 2 * MARGIN
    box = f"{number(-MARGIN)} {number(-MARGIN)} {number(width)} {number(height)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width / POINTS_PER_CM:.2f}cm" '
        f'height="{height / POINTS_PER_CM:.2f}cm" viewBox="{box}" role="img" font-family="{FONT}">',
        f"<title>{escape(one_line(sheet.title))}</title>",
        f'<rect x="{number(-MARGIN)}" y="{number(-MARGIN)}" width="{number(width)}" height="{number(height)}" '
        f'fill="#ffffff"/>',
        *map(drawn, sheet.shapes),
        "</svg>",
    ]
    return ("\n".join(lines) + "\n").encode()


def drawn(shape: Shape) -> str:
    if isinstance(shape, Stroke):
        dash = f' stroke-dasharray="{" ".join(map(number, shape.dash))}"' if shape.dash else ""
        look = f'stroke="{shape.color}" stroke-width="{number(shape.width)}"{dash} stroke-linejoin="round"'
        return f'<polyline points="{places(shape.points)}" fill="none" {look}/>'
    if isinstance(shape, Area):
        return f'<polygon points="{places(shape.points)}" fill="{shape.color}" fill-opacity="{shape.share}"/>'
    if isinstance(shape, Mark):
        fill = "#ffffff" if shape.is_hollow else shape.color
        look = f'fill="{fill}" stroke="{shape.color}"'
        if shape.kind == "circle":
            return f'<circle cx="{number(shape.x)}" cy="{number(shape.y)}" r="{number(shape.radius)}" {look}/>'
        return f'<polygon points="{places(shape.corners)}" {look}/>'
    anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
    bold = ' font-weight="bold"' if shape.is_bold else ""
    at = f'x="{number(shape.x)}" y="{number(shape.y)}" font-size="{number(shape.size)}"'
    return f'<text {at} fill="{shape.color}"{anchor}{bold}>{escape(one_line(shape.text))}</text>'


def places(points: object) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)  # type: ignore[attr-defined]


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
