"""Markdown: one table, and what is not in it below."""

from __future__ import annotations

import re
from collections.abc import Sequence

from glue_harness.report.formats import remarks, table
from glue_harness.report.rows import Board

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
LIST = re.compile(r"^(\d*)([-=.)])")  # what makes a list or a heading of a line


def render(board: Board) -> str:
    lines = drawn([[escaped(cell) for cell in row] for row in table(board)])
    below = (LIST.sub(r"\1\\\2", escaped(remark)) for remark in remarks(board))
    return "\n\n".join([f"# {escaped(board.name)}", lines, *below]) + "\n"


def drawn(rows: Sequence[Sequence[str]]) -> str:
    """A table of escaped texts; the first row is the heading."""
    head, *rest = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rest))


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no address that becomes a link of itself."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = SPECIAL.sub(r"\\\1", text)
    return text.replace("://", "&#58;//").replace("www.", "www&#46;").replace("WWW.", "WWW&#46;")
