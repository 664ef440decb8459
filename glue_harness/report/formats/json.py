"""JSON for programs: every value with its interval, and what was left out."""

from __future__ import annotations

from typing import Any

from glue_harness.core.writing import json_text
from glue_harness.report.board import Board, Row, Stat


def render(board: Board) -> str:
    columns = [{"name": c.name, "task": c.task, "key": c.key, "label": c.label} for c in board.columns]
    facts = {
        "name": board.name,
        "suite": board.suite,
        "columns": columns,
        "rows": [_row(row) for row in board.rows],
        "left_out": [{"run": run, "reason": reason} for run, reason in board.left_out],
        "notes": board.notes,
    }
    return json_text(facts, indent=1)


def _row(row: Row) -> dict[str, Any]:
    values = {column.name: _stat(stat) for column, stat in row.values.items()}
    return {**vars(row), "average": _stat(row.average), "values": values}


def _stat(stat: Stat | None) -> dict[str, float | None] | None:
    return stat and stat._asdict()
