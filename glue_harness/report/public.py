"""Reading results from Python: what `glue compare` and `glue board` say, as values."""

from __future__ import annotations

import os

from glue_harness.core import html
from glue_harness.core.errors import UsageError
from glue_harness.report import formats
from glue_harness.report.board import make_boards
from glue_harness.report.comparison import Comparison
from glue_harness.report.comparison import compare as compare_experiments
from glue_harness.report.experiments import pick
from glue_harness.report.frames import Results
from glue_harness.report.rows import Board
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry, load_tasks

Folder = str | os.PathLike[str]


class ShownBoard(Board):
    """A board that a notebook draws as a table."""

    def _repr_html_(self) -> str:
        head, *body = formats.table(self)
        return html.shown(self.name, [html.table(head, body)], formats.remarks(self))


def load_results(results: Folder = "results", registry: Registry | None = None) -> Results:
    """The record of every run in a folder, oldest first, and frames of them; `broken` are those that cannot be read."""
    store = _store(results)
    records, broken = store.load_all()
    return Results(records, broken, store, registry or load_tasks())


def compare(*runs: str, results: Folder = "results", registry: Registry | None = None) -> Comparison:
    """Each run to the first: names as on the command line, several seeds by the digest of their plan."""
    store = _store(results)
    records, _ = store.summaries()
    if len(runs) < 2:
        raise UsageError(f"compare takes two runs or more, not {len(runs)}")
    return compare_experiments([pick(store, run, records) for run in runs], store, registry or load_tasks())


def board(
    suite: str = "glue", results: Folder = "results", *, demo: bool = False, registry: Registry | None = None
) -> Board:
    """The leaderboard of a suite: of runs on real data, or of those on demo data."""
    records, _ = _store(results).summaries()
    return ShownBoard(**vars(make_boards(records, registry or load_tasks(), suite)[demo]))


def _store(results: Folder) -> Store:
    store = Store(results)
    if not store.folder.is_dir():
        raise UsageError(f"no folder of runs at {str(results)!r}")
    return store
