"""A run's scores as Every Eval Ever stores results of any tool: one JSON file of its schema, and where it belongs.

https://github.com/evaleval/every_eval_ever: data/BENCHMARK/DEVELOPER/MODEL/UUID.json. Whatever the schema does not name
stands in details, all of which must be texts.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glue_harness import __version__
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import default_of, plan_from
from glue_harness.core.record import Record, Score
from glue_harness.core.task import Task
from glue_harness.core.writing import json_text, write_atomic
from glue_harness.export.card import SOFTWARE, shown
from glue_harness.report.experiments import impossible, limits_of
from glue_harness.suite.registry import Registry

NAME, SCHEMA = "every-eval-ever", "0.2.1"
LOCAL = "local"  # a model that nobody published is its own run's
NAMESPACE = uuid.UUID("6d1f1a37-8a55-4b0e-9c56-0f2b7f3f3a6e")  # the same run has the same file name
INTERVAL = "over examples, by the kind of the metric: docs/statistics.md of glue-harness"


def write(
    record: Record, registry: Registry, out: Path, model_id: str | None, only: str | None
) -> tuple[Path, list[str]]:
    """Writes the file below `out`; tells where it is, and which scores it cannot hold."""
    facts, left_out = facts_of(record, registry, model_id or f"{LOCAL}/{record.id}", only)
    if not facts["evaluation_results"]:
        raise UsageError(f"run {record.id} has no score to export" + (f" of {only}" if only else ""))
    developer, _, model = facts["model_info"]["id"].rpartition("/")
    place = out / facts["evaluation_id"].partition("/")[0] / (developer or LOCAL) / model
    file = place / f"{uuid.uuid5(NAMESPACE, record.id)}.json"
    write_atomic(file, json_text(facts, indent=2) + "\n")
    return file, left_out


def facts_of(record: Record, registry: Registry, model_id: str, only: str | None) -> tuple[dict[str, Any], list[str]]:
    plan, environment = shown(plan_from(record.plan)), record.environment
    if reason := impossible(record, limits_of(registry.tasks.values())):
        raise UsageError(f"run {record.id}: {reason}")
    results: list[dict[str, Any]] = []
    left_out, suites = [], set()
    for name, score in record.scores.items():
        task = registry.task(name)
        if only in (None, name, registry.trainer(task).name):
            suites.add(task.suite)
            found = results_of(record, task, score)
            results += found.values()
            left_out += [f"{name}.{key}" for key in score.metrics if key not in found]
    now = f"{time.time():.3f}"
    settings = {name: json_text(value) for name, value in plan.departures().items()}
    facts = {
        "schema_version": SCHEMA,
        "evaluation_id": f"{'-'.join(sorted(suites)) or 'none'}/{model_id.replace('/', '_')}/{now}",
        "dedupe_identity": {
            "run_fingerprint": record.digest,
            "hash_algorithm": "sha256",
            "canonicalization_version": "glue-harness plan digest, its first 12 digits",
            "additional_details": {"run": record.id, "seed": str(plan.seed)},
        },
        "evaluation_timestamp": record.started,
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": "glue-harness",
            "source_type": "evaluation_run",
            "source_organization_name": "not stated",
            "evaluator_relationship": "other" if plan.is_scored else "first_party",
        },
        "eval_library": {
            "name": "glue-harness",
            "version": str(environment.get("glue") or __version__),
            "additional_details": texts({name: environment.get(name) for name in SOFTWARE}),
        },
        "model_info": {
            "name": plan.model if plan.is_scored else record.id,
            "id": model_id,
            "additional_details": texts(
                {
                    "fine_tuned_from": None if plan.is_scored else plan.model,
                    "method": plan.method,
                    "parameters": record.parameters.get("total"),
                    "trained_parameters": record.parameters.get("trainable"),
                }
            ),
        },
        "evaluation_results": [{**result, "generation_config": {"additional_details": settings}} for result in results],
    }
    return facts, left_out


def results_of(record: Record, task: Task, score: Score) -> dict[str, dict[str, Any]]:
    """By metric, for each value that is defined and whose range is known, which the schema asks for."""
    limits = {key: metric.limits for metric in task.metrics for key in metric.keys if metric.limits}
    found = {}
    for key, value in score.metrics.items():
        if value is None or key not in limits:
            continue
        low, high = score.intervals.get(key) or (None, None)
        least, most = limits[key]
        uncertainty: dict[str, Any] = {"num_samples": score.n}
        if low is not None and high is not None:
            bounds = {"lower": low, "upper": high, "confidence_level": 0.95, "method": INTERVAL}
            uncertainty["confidence_interval"] = bounds
        details = {
            "step": score.step,
            "invalid_answers": score.invalid,
            "one_answer_to_all": score.baseline.get(key),
            "without_luck_of_choosing_the_step": score.without_luck.get(key),
            "ceiling": score.ceiling.get(key),
        }
        found[key] = {
            "evaluation_name": task.name,
            "source_data": source_of(record, task, score),
            "evaluation_timestamp": record.started,
            "metric_config": {
                "evaluation_description": f"{key} x100 on {task.title or task.name}",
                "lower_is_better": False,
                "score_type": "continuous",
                "min_score": least,
                "max_score": most,
            },
            "score_details": {"score": value, "details": texts(details), "uncertainty": uncertainty},
        }
    return found


def source_of(record: Record, task: Task, score: Score) -> dict[str, Any]:
    """The data set of the Hub, where the rows came from there; else what names the rows, and no path."""
    rows = record.data.get(task.name, {}).get("validation", {})
    where = record.plan.get("data", default_of("data"))
    details = {"split": score.split, "fingerprint": rows.get("fingerprint"), "rows": rows.get("rows")}
    if where == "hub" and task.source.hub:
        details |= {"config": task.source.config, "revision": record.plan.get("revision") or task.source.revision}
        return {
            "dataset_name": task.title or task.name,
            "source_type": "hf_dataset",
            "hf_repo": task.source.hub,
            "hf_split": score.split,
            "samples_number": score.n,
            "additional_details": texts(details),
        }
    kind = "synthetic rows of glue-harness" if where.partition(":")[0] == "demo" else "rows in a folder"
    details |= {"rows_from": kind, "like": task.source.hub or None}
    return {"dataset_name": task.title or task.name, "source_type": "other", "additional_details": texts(details)}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
