"""Scores as the Hub reads them of a model's repository: .eval_results/NAME.yaml, a file for each value.

The Hub shows them on the page of a model, and on that of a data set which declares itself a benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glue_harness.core.plan import default_of
from glue_harness.core.writing import json_text
from glue_harness.export import Chosen

FOLDER = ".eval_results"


def write(chosen: Chosen, folder: Path) -> list[Path]:
    """Only of rows that came from the Hub, which an entry must name."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    record, task = chosen.record, chosen.task
    if record.plan.get("data", default_of("data")) != "hub" or not task.source.hub:
        return []
    written = []
    for name, score in chosen.scores.items():
        for key, value in score.metrics.items():
            if value is None:
                continue
            low, high = score.intervals.get(key) or (None, None)
            interval = "" if low is None else f", 95 % interval {low:.2f} to {high:.2f} over examples"
            said = f"{key} x100 on {score.split}, {score.n} examples{interval}; step {score.step}, one seed"
            entry = EvalResultEntry(
                dataset_id=task.source.hub,
                task_id=task.source.config or "default",
                value=round(value, 4),
                dataset_revision=record.plan.get("revision") or task.source.revision,
                date=record.started[:10] or None,
                notes=said,
            )
            file = folder / FOLDER / (f"{name}.yaml" if len(score.metrics) == 1 else f"{name}_{key}.yaml")
            file.parent.mkdir(exist_ok=True)
            (facts,) = eval_result_entries_to_yaml([entry])
            file.write_text("- " + yaml(facts, "  ").lstrip(), encoding="utf-8")
            written.append(file)
    return written


def yaml(values: Mapping[str, Any], indent: str) -> str:
    """A mapping as YAML, whose scalars may be written as JSON's."""
    lines = []
    for name, value in values.items():
        inner = f"\n{yaml(value, indent + '  ')}" if isinstance(value, Mapping) else f" {json_text(value)}\n"
        lines.append(f"{indent}{name}:{inner}")
    return "".join(lines)
