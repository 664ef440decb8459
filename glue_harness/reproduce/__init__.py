"""The T5 paper's tables as lists of runs. What was published stands in published.json; here is how we make it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glue_harness.lab.strategy import Stage, stages_of
from glue_harness.models.families import FROM_SCRATCH
from glue_harness.reproduce.scale import Scale
from glue_harness.suite.registry import Registry

TUNING = "tuning"  # of each task from a model that read text: here, or by whoever made the model
HIGHEST_LIMIT = 2.0**21  # of the rows with a temperature


@dataclass(frozen=True)
class How:
    """How a row of the paper comes about."""

    strategy: str = TUNING
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: bool = True  # whether span corruption is part of it
    from_scratch: bool = False


def adapter(width: int) -> How:
    return How(settings={"method": "adapter", "adapter_width": width})


def proportional(limit: float) -> How:
    return How("multitask", {"limit": limit})


def temperature(value: float) -> How:
    return How("multitask", {"mixing": "temperature", "temperature": value, "limit": HIGHEST_LIMIT})


ROWS: dict[str, How] = {
    "Baseline": How(),
    "No pre-training": How("single", text=False, from_scratch=True),
    **{f"Adapter d={width}": adapter(width) for width in (32, 128, 512, 2048)},
    "Gradual unfreezing": How(settings={"method": "unfreeze"}),
    "Equal": How("multitask", {"mixing": "equal", "limit": 2.0**19}),
    **{f"Prop. K=2^{power}": proportional(2.0**power) for power in (16, 17, 18, 20, 21)},
    "Prop. K=2^19 (= multi-task training)": proportional(2.0**19),
    **{f"Temp. T={value}": temperature(value) for value in (2, 4, 8)},
    "Multi-task pre-training + fine-tuning": How("multitask-finetune"),
    "Leave-one-out multi-task training": How("leave-one-out"),
    "Supervised multi-task pre-training": How("multitask-finetune", text=False),
}


@dataclass(frozen=True)
class Line:
    """A row and the runs that make it."""

    configuration: str
    stages: tuple[Stage, ...]
    settings: str  # what differs from the other rows, as it was run


def lines_of(rows: Sequence[str], scale: Scale, registry: Registry) -> list[Line]:
    """The rows that can be made; without a model from scratch there is none without pre-training."""
    possible = [row for row in rows if scale.plan.model in FROM_SCRATCH or not ROWS[row].from_scratch]
    return [line_of(row, scale, registry) for row in possible]


def line_of(row: str, scale: Scale, registry: Registry) -> Line:
    how = ROWS[row]
    settings = scaled(how, scale)
    plan = scale.plan.replace(**settings)
    text_task = next(task.name for task in registry.tasks.values() if task.noise)
    strategy, steps = how.strategy, scale.pretrain_steps
    if strategy == TUNING:
        strategy = "pretrain-finetune" if scale.pretrains else "single"
    elif how.text and scale.with_text:
        plan = plan.replace(tasks=(*plan.tasks, text_task))
    if strategy == "multitask":  # as long as the others' two parts together
        plan = plan.replace(steps=steps + plan.steps)
    if not how.text or strategy == "single" or not scale.with_text:
        plan = plan.replace(text=None)
    alone = strategy in ("single", "multitask")
    stages = stages_of(strategy, plan, registry, None if alone else steps)
    return Line(row, tuple(stages), described(strategy, settings))


def scaled(how: How, scale: Scale) -> dict[str, Any]:
    """A row's settings at this scale. A mixing that does not look at sizes has no limit."""
    settings = dict(how.settings)
    if settings.get("mixing") == "equal":
        return {"mixing": "equal"}
    if how.strategy != TUNING and not how.from_scratch:
        settings["limit"] = scale.limit(settings.get("limit", 2.0**19))
    if "adapter_width" in settings:
        settings["adapter_width"] = scale.width(settings["adapter_width"])
    return settings


def described(strategy: str, settings: Mapping[str, Any]) -> str:
    shown = {"adapter_width": "d", "limit": "K", "temperature": "T"}
    values = [f"{shown[key]}={value:,.0f}" for key, value in settings.items() if key in shown]
    return ", ".join([strategy, *values])
