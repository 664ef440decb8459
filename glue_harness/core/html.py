"""Tables as HTML, whatever their texts hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def row(tag: str, texts: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "\n".join(row("td", cells) for cells in rows)
    return f"<table>\n<thead>{row('th', head)}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def shown(title: str, parts: Iterable[str], below: Iterable[str]) -> str:
    """What a notebook shows: a title, tables, and remarks. All but the tables is text."""
    remarks = "\n".join(f"<p><small>{escape(text)}</small></p>" for text in below)
    return "\n".join([f"<p><b>{escape(title)}</b></p>", *parts, remarks])
