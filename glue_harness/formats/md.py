"""Markdown: one table, and what is not in it below."""

from __future__ import annotations

import re

from glue_harness.board import Board
from glue_harness.formats import cells, heading

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~])")


def render(board: Board) -> str:
    rows = [heading(board), ["---"] * len(heading(board)), *([escaped(cell) for cell in row] for row in cells(board))]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    remarks = [f"{run}: {why}" for run, why in board.left_out]
    below = [f"Left out: {escaped(remark)}" for remark in remarks] + [escaped(note) for note in board.notes]
    return "\n\n".join([f"# {escaped(board.name)}", table, *below]) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: on one line, no markup, no HTML."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", line)
