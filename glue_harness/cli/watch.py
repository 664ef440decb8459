"""A table of the runs that are under way, drawn anew until they end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glue_harness.cli.streams import emit
from glue_harness.report.console import TableColumn, console, lasting, note, or_dash, or_undefined, show, table_of

if TYPE_CHECKING:
    from rich.table import Table

    from glue_harness.runs.store import Store
    from glue_harness.runs.underway import Standing


def follow(store: Store, name: str | None, every: float, as_json: bool) -> None:
    from glue_harness.runs.underway import at_work, standings

    names = [store.find(name).id] if name else at_work(store)
    if not names and not as_json:
        note(f"no run is at work in {str(store.folder)!r}", style=None)
        return
    found = standings(store, names)
    if as_json:
        emit(True, [one._asdict() for one in found], iter(()), indent=2)
    elif not console().is_terminal:
        show(drawn(found))
    else:
        from rich.live import Live

        with Live(drawn(found), console=console(), auto_refresh=False) as live:
            while any(one.is_at_work for one in found):
                time.sleep(every)
                if not name:
                    names += [new for new in at_work(store) if new not in names]
                found = standings(store, names)
                live.update(drawn(found), refresh=True)


def drawn(found: Sequence[Standing]) -> Table:
    columns = [
        TableColumn("run", lambda one: one.id),
        TableColumn("status", lambda one: one.status, whole=True, wide=True),
        TableColumn("step", lambda one: f"{one.step:,} of {one.steps:,}" if one.steps else "sets up", right=True),
        TableColumn("loss", lambda one: or_dash(one.loss, ".3f"), right=True, whole=True),
        TableColumn("left", lambda one: left(one), right=True),
        TableColumn("last scores", scores),
    ]
    return table_of(found, columns, style=lambda one: "" if one.is_at_work else "dim")


def left(one: Standing) -> str:
    if not one.is_at_work:
        return one.status
    return "-" if one.seconds_left is None else lasting(one.seconds_left)


def scores(one: Standing) -> str:
    """Each task's values, and the step that they are of."""
    if not one.scores:
        return "-"
    values = "  ".join(
        f"{task} {'/'.join(or_undefined(value, '.1f') for value in of.values())}" for task, of in one.scores.items()
    )
    return f"{values}, step {one.scored_at:,}"
