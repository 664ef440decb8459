"""What a sweep tried, for the page: each setting that was varied, against what chose between them."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from glue_harness.core.errors import DataError
from glue_harness.core.record import Record
from glue_harness.metrics.selection import is_defined
from glue_harness.report.experiments import Experiment, settings_apart
from glue_harness.report.page.facts import rounded
from glue_harness.runs.index import plan_of
from glue_harness.runs.store import Store

OF, FINAL = "sweep of ", "final"  # how the stage of a trial begins, and that of the winner's fresh seeds ends
FEWEST = 2  # trials


def sweep_facts(experiments: Sequence[Experiment], store: Store) -> list[dict[str, Any]]:
    """Every sweep whose trials have pages: a trial is a plan, its value the mean over the seeds that chose."""
    groups: dict[str, list[list[Record]]] = defaultdict(list)
    for experiment in experiments:
        of_sweep: dict[str, list[Record]] = defaultdict(list)
        for record in experiment.records:
            digest, _, part = record.stage.removeprefix(OF).partition(": ")
            if record.stage.startswith(OF) and part != FINAL:
                of_sweep[digest].append(record)
        for digest, records in of_sweep.items():
            groups[digest].append(records)
    found = []
    for digest, trials in groups.items():
        plans = [plan_of(records[0]) for records in trials]
        names = dict.fromkeys(name for words in settings_apart(plans) for name in words)
        points = []
        for records, plan in zip(trials, plans, strict=True):
            values = [value for record in records if (value := chosen_by(record, store)) is not None]
            if values:
                of_plan = plan.to_dict()
                settings = {name: plain(of_plan.get(name)) for name in names}
                whole = all(record.status == "finished" for record in records)
                points.append([records[0].id, rounded(fmean(values)), settings, whole])
        if len(points) >= FEWEST and names:
            title = f"{'+'.join(plans[0].tasks)}, {plans[0].model}"
            found.append({"name": digest, "title": title, "settings": list(names), "points": points})
    return found


def chosen_by(record: Record, store: Store) -> float | None:
    """The best mean over tasks that was seen while it trained: of held-out rows, where these chose."""
    with contextlib.suppress(DataError):
        history = store.find(record.id).history
        by_step: dict[int, list[float]] = defaultdict(list)
        for evaluations in history.values():
            for step, values in evaluations:
                by_step[step].append(fmean(value if is_defined(value) else 0.0 for value in values.values()))
        return max(map(fmean, by_step.values()), default=None)
    return None


def plain(value: Any) -> Any:
    """A number as it is, so that it has a place on an axis; all else as a word."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else "none" if value is None else str(value)
