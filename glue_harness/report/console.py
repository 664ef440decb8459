"""Where output goes: rich on a terminal, plain text elsewhere. Text from data is never read as markup."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 120
UNDEFINED = "undefined"  # what a score is called that its metric does not give
# Signs of ours that an encoding may lack, each as one that has the same width: tables keep their columns.
PLAIN_SIGNS = dict(zip("±σ…─━╸╺│└┤●▲■◆○△□◇★", "~s.----|++o^#xo^#x*", strict=True))
PLAIN = "glue.plain"  # the name of this way to write what an encoding lacks


def plain_signs(error: UnicodeError) -> tuple[str, int]:
    """For `codecs`: a chart of Braille dots becomes one of full stops, a letter that is lacking a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN_SIGNS.get(c, "." if "\u2800" <= c <= "\u28ff" else "?") for c in lacking), error.end


codecs.register_error(PLAIN, plain_signs)


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
    prose(console(), text, style)


def note(text: str, style: str | None = "dim") -> None:
    """A remark that is not a result: to stderr, so that piped output stays clean."""
    prose(console(stderr=True), text, style)


def prose(to: Console, text: str, style: str | None = None) -> None:
    """Broken between words at the edge of a terminal, which would break inside them; whole where programs read."""
    to.print(printable(text), style=style, soft_wrap=not to.is_terminal)


def screen_width() -> int:
    return console().width


def is_narrow() -> bool:
    """Whether there is less room than without a terminal: tables get narrow gaps, wide ones leave something out."""
    return screen_width() < WIDTH_WITHOUT_TERMINAL


class TableColumn(NamedTuple):
    """A heading and how a record becomes a cell: text, or a `Text` that is printable already."""

    heading: str
    write: Callable[[Any], object] | None = None  # none: what the record, a mapping, has under this heading
    right: bool = False  # aligned right
    whole: bool = False  # never broken
    wide: bool = False  # left out on a narrow screen


def table_of(
    records: Iterable[Any], columns: Sequence[TableColumn], title: str = "", style: Callable[[Any], str] = lambda _: ""
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = [column for column in columns if not (column.wide and is_narrow())]
    made = Table(box=box.SIMPLE_HEAD, title=printable(title) or None, title_justify="left", title_style="bold")
    made.pad_edge, made.collapse_padding = False, is_narrow()
    for heading, _, right, whole, _ in columns:
        justify = "right" if right else "left"
        made.add_column(Text(printable(heading)), justify=justify, overflow="fold", no_wrap=whole)
    for record in records:
        cells = (write(record) if write else record[heading] for heading, write, *_ in columns)
        made.add_row(*(c if isinstance(c, Text) else Text(printable(str(c)), style=style(record)) for c in cells))
    return made


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    right: Collection[str] = (),
    whole: Collection[str] = (),
) -> Table:
    """A table of rows that hold their cells; `right` and `whole` name columns."""
    columns = [TableColumn(name, itemgetter(k), name in right, name in whole) for k, name in enumerate(headings)]
    return table_of(rows, columns, title)


def show(made: Table | Text) -> None:
    """A table, or a line of a drawing, which is cut at the edge of the screen and never broken."""
    is_line = hasattr(made, "plain")
    console().print(made, no_wrap=is_line or None, overflow="crop" if is_line else None)


def or_undefined(value: float | None, form: str = ".2f") -> str:
    """A score, which its metric may not give for the answers at hand: a correlation of one answer to all, for one."""
    return UNDEFINED if value is None or value != value else format(value, form)


def or_dash(value: object, form: str = "") -> str:
    return "-" if value is None else format(value, form)


def lasting(seconds: float) -> str:
    """An estimated time in the unit a reader thinks in."""
    units = ("days", 86400), ("hours", 3600), ("minutes", 60)
    unit, size = next((u for u in units if seconds >= 2 * u[1]), ("seconds", 1))
    return f"{seconds / size:,.1f} {unit}"


def in_bytes(size: int) -> str:
    """As file managers write it, in powers of a thousand."""
    power = next((k for k in range(4) if size < 1000 ** (k + 1)), 4)
    return f"{size:,} B" if power == 0 else f"{size / 1000**power:,.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def one_line(text: str) -> str:
    """Text for a cell, a list or a message: printable, and without line ends that could fake another line."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Control characters made visible, so that no data can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
