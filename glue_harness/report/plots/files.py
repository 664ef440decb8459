"""Charts as a file: its ending says which kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glue_harness.core.errors import UsageError
from glue_harness.core.writing import write_atomic
from glue_harness.report.curves import Chart
from glue_harness.report.fronts import Fronts
from glue_harness.report.plots.fronts import draw_fronts
from glue_harness.report.plots.intervals import Intervals, draw_intervals
from glue_harness.report.plots.lines import draw_lines
from glue_harness.report.plots.sheet import Sheet

ENDINGS = (".svg", ".png", ".pdf")
WIDTH_CM = 16.0  # the text of an A4 page; a column of two has 8
NARROWEST, WIDEST = 6.0, 100.0


def check(path: Path) -> None:
    """What can be known to fail before anything is read."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{str(path)!r}: the picture's name must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    if ending != ".svg":
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            fix = "pip install 'glue-harness[plot]', or take .svg, which needs nothing"
            raise UsageError(f"{ending} needs matplotlib: {fix}") from None


def write(path: Path, what: Sequence[Chart] | Intervals | Fronts, width_cm: float = WIDTH_CM) -> None:
    if isinstance(what, Intervals):
        sheet = draw_intervals(what, width_cm)
    elif isinstance(what, Fronts):
        sheet = draw_fronts(what, width_cm)
    else:
        sheet = draw_lines(what, width_cm)
    write_atomic(path, render(sheet, path.suffix.lower()))


def render(sheet: Sheet, ending: str) -> bytes:
    if ending == ".svg":
        from glue_harness.report.plots import svg

        return svg.render(sheet)
    from glue_harness.report.plots import image

    return image.render(sheet, ending)
