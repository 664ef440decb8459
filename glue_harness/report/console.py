"""Where output goes: rich on a terminal, plain text elsewhere. Text from data is never read as markup."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 120


@cache
def console(stderr: bool = False) -> Console:
    """The console of stdout (results) or stderr (progress, notes). NO_COLOR is heeded by rich."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    made = Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)
    made.on_broken_pipe = reader_has_gone  # rich would exit with 1
    return made


def reader_has_gone() -> NoReturn:
    """`glue tasks | head` is not a failure; nothing more is written, not even by python at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def say(text: str = "", style: str | None = None) -> None:
    console().print(printable(text), style=style, soft_wrap=True)


def note(text: str, style: str | None = "dim") -> None:
    """A remark that is not a result: to stderr, so that piped output stays clean."""
    console(stderr=True).print(printable(text), style=style, soft_wrap=True)


def is_narrow() -> bool:
    """Whether there is less room than without a terminal: tables get narrow gaps, wide ones leave something out."""
    return console().width < WIDTH_WITHOUT_TERMINAL


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    right: Iterable[str] = (),
    whole: Iterable[str] = (),
) -> Table:
    """A table of texts, or of `Text` that is printable already.

    The columns named in `right` are aligned right, those in `whole` are never broken.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    right, whole = set(right), set(whole)
    title = printable(title) or None
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    made.collapse_padding = is_narrow()
    for column in columns:
        justify = "right" if column in right else "left"
        made.add_column(Text(printable(column)), justify=justify, overflow="fold", no_wrap=column in whole)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(printable(str(cell))) for cell in row))
    return made


def show(made: Table) -> None:
    console().print(made)


def lasting(seconds: float) -> str:
    """An estimated time in the unit a reader thinks in."""
    unit, size = next((u for u in (("days", 86400), ("hours", 3600)) if seconds >= 2 * u[1]), ("minutes", 60))
    return f"{seconds / size:,.1f} {unit}"


def one_line(text: str) -> str:
    """Text for a cell, a list or a message: printable, and without line ends that could fake another line."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Control characters made visible, so that no data can steer the terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
