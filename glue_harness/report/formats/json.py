"""JSON for programs: every value with its interval, and what was left out."""

from __future__ import annotations

from glue_harness.core.writing import json_text
from glue_harness.report.formats import legend
from glue_harness.report.rows import Board


def render(board: Board) -> str:
    rows = []
    for row in board.rows:
        values = {column.name: stat._asdict() for column, stat in row.values.items()}
        rows.append({**vars(row), "average": row.average and row.average._asdict(), "values": values})
        rows[-1]["cost"] = row.cost and row.cost._asdict()
        rows[-1]["undefined"] = [column.name for column in row.undefined]
    facts = {
        "name": board.name,
        "suite": board.suite,
        "columns": [{"name": c.name, "task": c.task, "key": c.key, "label": c.label} for c in board.columns],
        "rows": rows,
        "left_out": [{"run": run, "reason": reason} for run, reason in board.left_out],
        "notes": board.notes,
        "common": board.common,
        "ranking": board.ranking,
        "legend": legend(board),
    }
    return json_text(facts, indent=1)
