"""What a run's page says: plan, provenance, scores and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean
from typing import Any

from glue_harness.core.errors import DataError, GlueError
from glue_harness.core.record import Record
from glue_harness.core.writing import json_text
from glue_harness.data.mixing import realised
from glue_harness.report.curves import Chart, Curve, Point, against_steps, losses
from glue_harness.report.experiments import Experiment, in_order, label
from glue_harness.report.page.facts import rounded
from glue_harness.runs.index import plan_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

MOST_POINTS = 200  # of a curve


def run_facts(
    experiments: Sequence[Experiment], store: Store, registry: Registry
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every run by its id, and the curves of each experiment by the id of its first run."""
    runs, curves = {}, {}
    for experiment in experiments:
        records = []
        for summary in experiment.records:
            try:
                record = store.find(summary.id)  # with its history
            except GlueError:  # another process has just removed it
                record = summary
            runs[record.id] = _run(record, registry)
            records.append(record)
        full = replace(experiment, records=tuple(records))
        curves[records[0].id] = [_chart(chart) for chart in _charts(full, store, registry)]
    return runs, curves


def _run(record: Record, registry: Registry) -> dict[str, Any]:
    plan, titles = plan_of(record), registry.titles(record.scores)
    departures = plan.departures()
    lines = [(plan.to_toml({name: value}).strip(), name in departures) for name, value in plan.to_dict().items()]
    return {
        "id": record.id,
        "status": record.status,
        "error": record.error,
        "started": record.started,
        "seconds": round(record.seconds, 1),
        "stage": record.stage,
        "digest": record.digest,
        "seed": plan.seed,
        "model": plan.model,
        "method": plan.method,
        "tasks": list(plan.tasks),
        "demo": plan.is_demo,
        "plan": [line for line in lines if line[0]],
        "scores": [line for task in in_order(record.scores, registry) for line in _scores(task, titles[task], record)],
        "mix": {task: list(found) for task, found in realised(record.mix).items()},
        "timing": {phase: rounded(seconds) for phase, seconds in record.timing.items()},
        "data": [
            [task, role, facts.get("rows"), facts.get("official"), facts.get("fingerprint"), _origin(facts)]
            for task, roles in record.data.items()
            for role, facts in roles.items()
        ],
        "environment": [[name, _said(value)] for name, value in record.environment.items() if value not in (None, {})],
        "parameters": record.parameters,
        "resumed": record.resumed,
        "skipped": len(record.skipped),
        "notes": record.notes,
        "tags": record.tags,
        "note": record.note,
        "parents": record.parents["model"],
        "teachers": record.parents["teacher"],
    }


def _scores(task: str, title: str, record: Record) -> list[dict[str, Any]]:
    """A line for each value of a task."""
    score = record.scores[task]
    return [
        {
            "task": task,
            "label": label(title, key, score.metrics),
            "value": rounded(value),
            "interval": [rounded(bound) for bound in score.intervals.get(key, (None, None))],
            "baseline": rounded(score.baseline.get(key)),
            "without_luck": rounded(score.without_luck.get(key)),
            "clean": rounded((score.clean or {}).get("metrics", {}).get(key)),
            "n": score.n,
            "invalid": score.invalid,
            "step": score.step,
            "constant": score.constant,
        }
        for key, value in score.metrics.items()
    ]


def _origin(facts: Mapping[str, Any]) -> str:
    """Where rows came from, without the folders before it: a page may be sent to others."""
    return str(facts.get("origin") or "").replace("\\", "/").rstrip("/").rpartition("/")[2]


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _charts(experiment: Experiment, store: Store, registry: Registry) -> list[Chart]:
    charts = against_steps([experiment], registry, ())
    try:
        charts += losses([experiment], store, registry, ())
        charts += _learning_rate(experiment, store)
    except DataError:  # a log that cannot be read: the scores stand without it
        pass
    return charts


def _learning_rate(experiment: Experiment, store: Store) -> list[Chart]:
    """That of the first seed: a plan has one."""
    found = [(e["step"], e["lr"]) for e in store.read_train(experiment.records[0].id) if isinstance(e.get("lr"), float)]
    points = tuple(Point(step, rate) for step, rate in found)
    return [Chart("", "steps", "learning rate", (Curve("learning rate", points),))] if points else []


def _chart(chart: Chart) -> dict[str, Any]:
    curves = [{"label": curve.label, "points": [*map(_point, thinned(curve.points))]} for curve in chart.curves]
    return {"title": chart.title, "x": chart.x, "y": chart.y, "log": chart.falls_by_ratios, "curves": curves}


def thinned(points: Sequence[Point]) -> list[Point]:
    """Points at even distances; each is the mean of those that it stands for."""
    if len(points) <= MOST_POINTS:
        return list(points)
    starts = [k * len(points) // MOST_POINTS for k in range(MOST_POINTS + 1)]
    groups = [points[a:b] for a, b in pairwise(starts)]
    return [Point(fmean(p.x for p in group), fmean(p.y for p in group), group[0].deviation) for group in groups]


def _point(point: Point) -> list[float | None]:
    return [float(f"{point.x:.6g}"), float(f"{point.y:.6g}"), rounded(point.deviation)]
