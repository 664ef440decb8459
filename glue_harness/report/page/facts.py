"""What the page knows: boards, runs and charts as JSON, of whatever results were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from glue_harness import __version__
from glue_harness.core.record import Record
from glue_harness.metrics.ranks import over_tasks
from glue_harness.report.console import one_line
from glue_harness.report.costs import HEADINGS, price, remarks
from glue_harness.report.experiments import SHORT, Stat
from glue_harness.report.formats import legend
from glue_harness.report.formats.csv import EXECUTED
from glue_harness.report.page.profiles import profile_facts
from glue_harness.report.rows import Board, BoardRow, mixing

MOST_RANKED = 20  # rows whose ranks over tasks are tested, the best
FEWEST = 3  # rows, and tasks, that a test of ranks over tasks is of
DIGITS = 4  # behind the point: more would only make the page larger


def page_facts(
    boards: Sequence[Board],
    records: Mapping[str, Record],
    runs: Mapping[str, Any],
    more: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """All that the page reads when it opens; `records` are those that rows of boards name."""
    return {
        "glue": __version__,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "executed": "".join(EXECUTED),
        "boards": [board_facts(board, records) for board in boards],
        "runs": runs,
        **more,
        "notes": list(notes),
    }


def board_facts(board: Board, records: Mapping[str, Record]) -> dict[str, Any]:
    columns = [
        {"name": column.name, "label": column.label, "group": column.group, "metric": SHORT.get(column.key, column.key)}
        for column in board.columns
    ]
    return {
        "name": board.name,
        "demo": board.name == f"{board.suite}-demo",
        "columns": columns,
        "rows": [row_facts(row, [records[run] for run in row.runs]) for row in board.rows],
        "common": board.common,
        "over_tasks": ranks_over_tasks(board),
        "profiles": profile_facts(board, records),
        "measured": remarks({row.name: row.cost for row in board.rows if row.cost}),
        "left_out": [[run, one_line(why)] for run, why in board.left_out],
        "below": [one_line(text) for text in (*board.ranking, *legend(board), *board.missing, *board.notes)],
    }


def ranks_over_tasks(board: Board) -> dict[str, Any] | None:
    """Mean ranks of the ranked rows over the tasks that all of them have; None of too few to be tested."""
    rows = [row for row in board.rows if row.rank is not None][:MOST_RANKED]
    tasks = dict.fromkeys(column.group for column in board.columns)
    scores: list[list[float]] = [[] for _ in rows]
    for task in tasks:
        of_task = [[found.mean for column, found in row.values.items() if column.group == task] for row in rows]
        if all(of_task):
            for of_row, values in zip(scores, of_task, strict=True):
                of_row.append(fmean(values))
    if len(rows) < FEWEST or len(scores[0]) < FEWEST:
        return None
    found = over_tasks(scores)
    keys = [row.runs[0] for row in rows]
    return {
        "p": float(f"{found.p:.3g}"),
        "tasks": found.tasks,
        "means": [[key, rounded(mean)] for key, mean in zip(keys, found.means, strict=True)],
        "groups": [[keys[k] for k in group] for group in found.groups],
        "left_out": sum(row.rank is not None for row in board.rows) - len(rows),
    }


def row_facts(row: BoardRow, records: Sequence[Record]) -> dict[str, Any]:
    """A row; what it cost is the mean over its seeds."""
    first = records[0] if records else None
    seen = [sum(task.get("examples") or 0.0 for task in record.mix.values()) for record in records]
    trained = [record.seconds for record in records if record.mix]
    return {
        "key": row.runs[0] if row.runs else f"{row.source}: {row.name}",
        "name": row.name,
        "published": not row.runs and row.source,
        "rank": row.rank,
        "tested": row.tested,
        "best": rounded(row.best),
        "average": numbers(row.average),
        "without_luck": rounded(row.without_luck),
        "values": {column.name: numbers(found) for column, found in row.values.items()},
        "undefined": [column.name for column in row.undefined],
        "model": row.model,
        "family": row.family,
        "method": row.method,
        "tags": list(dict.fromkeys(tag for record in records for tag in record.tags)),
        "mixing": mixing(row),
        "steps": row.steps,
        "seeds": row.seeds,
        "data": row.data,
        "invalid": rounded(row.invalid),
        "date": row.date,
        "commit": row.commit,
        "digest": row.digest,
        "missing": row.missing,
        "runs": list(row.runs),
        "parameters": first and first.parameters.get("total"),
        "trainable": first and first.parameters.get("trainable"),
        "examples": rounded(fmean(seen)) if trained else None,
        "seconds": rounded(fmean(trained)) if trained else None,
        **{name: row.cost and rounded(price(row.cost, name)) for name in HEADINGS},
    }


def numbers(stat: Stat | None) -> list[Any] | None:
    """Mean, deviation, low, high, and what the interval is over."""
    return stat and [rounded(stat.mean), rounded(stat.deviation), rounded(stat.low), rounded(stat.high), stat.over]


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
