"""HTML: one page with one table, no scripts."""

from __future__ import annotations

from html import escape

from glue_harness.report.formats import remarks, table
from glue_harness.report.rows import Board


def render(board: Board) -> str:
    head, *body = table(board)
    rows = "\n".join(_row("td", row) for row in body)
    below = "\n".join(f"<p>{escape(text)}</p>" for text in remarks(board))
    title = escape(board.name)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n<h1>{title}</h1>\n'
        f"<table>\n<thead>{_row('th', head)}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n{below}\n</html>\n"
    )


def _row(tag: str, texts: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"
