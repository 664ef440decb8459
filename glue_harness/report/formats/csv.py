"""CSV that pandas and spreadsheets read without help: a heading line, plain numbers, UTF-8."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from glue_harness.report.console import one_line
from glue_harness.report.costs import HEADINGS
from glue_harness.report.rows import Board, BoardRow

EXECUTED = tuple("=+-@＝＋－＠")  # a spreadsheet runs text that starts so; the wide ones are East Asian
SPREAD = ("deviation", "low", "high", "over")


def render(board: Board) -> str:
    return text_of([_fields(board, row) for row in board.rows])


def text_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys, which are the heading."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(safe(name) for name in (rows[0] if rows else ()))
    writer.writerows([safe(value) for value in row.values()] for row in rows)
    return file.getvalue()


def _fields(board: Board, row: BoardRow) -> dict[str, Any]:
    """First what is compared, then how sure it is, then where it comes from."""
    stats = {"average": row.average, **{column.name: row.values.get(column) for column in board.columns}}
    return {
        **{name: getattr(row, name) for name in ("rank", "best", "tested", "name", "source", "model", "method")},
        **{name: stat and stat.mean for name, stat in stats.items()},
        **{name: getattr(row, name) for name in ("mixing", "limit", "temperature", "steps", "seeds", "data", "select")},
        "invalid_percent": row.invalid,
        "without_luck": row.without_luck,
        **{f"{name}_{part}": stat and getattr(stat, part) for name, stat in stats.items() for part in SPREAD},
        **({name: getattr(row.cost, name, None) for name in (*HEADINGS, "place")} if board.has_costs else {}),
        "missing": row.missing,
        "family": row.family,
        "parameters": row.parameters,
        "runs": " ".join(row.runs),
        "plan": row.digest,
        "date": row.date,
        "commit": row.commit,
    }


def safe(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(EXECUTED) else text
