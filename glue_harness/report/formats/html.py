"""HTML: one page with one table, no scripts."""

from __future__ import annotations

from html import escape

from glue_harness.core import html
from glue_harness.report.formats import remarks, table
from glue_harness.report.rows import Board


def render(board: Board) -> str:
    head, *body = table(board)
    below = "\n".join(f"<p>{escape(text)}</p>" for text in remarks(board))
    title = escape(board.name)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n<h1>{title}</h1>\n'
        f"{html.table(head, body)}\n{below}\n</html>\n"
    )
