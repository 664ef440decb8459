"""The T5 paper's tables as lists of runs. What was published stands in published.json; here is how we make it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glue_harness.lab.strategy import Stage, stages_of
from glue_harness.models.families import is_from_scratch
from glue_harness.reproduce.scale import Scale
from glue_harness.suite.registry import Registry

TUNING = "tuning"  # of each task from a model that read text: here, or by whoever made the model


@dataclass(frozen=True)
class How:
    """How a configuration of the paper comes about."""

    strategy: str = TUNING
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: bool = True  # whether span corruption is part of it
    from_scratch: bool = False


LIMIT = {"limit": 2.0**19}  # K, where the paper says nothing else
CONFIGURATIONS: dict[str, How] = {
    "Baseline": How(),
    "No pre-training": How("single", text=False, from_scratch=True),
    **{f"Adapter d={d}": How(settings={"method": "adapter", "adapter_width": d}) for d in (32, 128, 512, 2048)},
    "Gradual unfreezing": How(settings={"method": "unfreeze"}),
    "Equal": How("multitask", {"mixing": "equal"}),  # does not look at sizes: it has no limit
    **{f"Prop. K=2^{power}": How("multitask", {"limit": 2.0**power}) for power in (16, 17, 18, 20, 21)},
    "Prop. K=2^19 (= multi-task training)": How("multitask", LIMIT),
    **{
        f"Temp. T={value}": How("multitask", {"mixing": "temperature", "temperature": value, "limit": 2.0**21})
        for value in (2, 4, 8)
    },
    "Multi-task pre-training + fine-tuning": How("multitask-finetune", LIMIT),
    "Leave-one-out multi-task training": How("leave-one-out", LIMIT),
    "Supervised multi-task pre-training": How("multitask-finetune", LIMIT, text=False),
}


@dataclass(frozen=True)
class Configuration:
    """A configuration of the paper and the runs that make it."""

    name: str
    stages: tuple[Stage, ...]
    settings: str  # what differs from the others, as it was run


def configurations_of(names: Iterable[str], scale: Scale, registry: Registry) -> list[Configuration]:
    """Those that can be made; without a model from scratch there is none without pre-training."""
    scaled = {"limit": scale.limit, "adapter_width": scale.width}
    symbols = {"limit": "K", "adapter_width": "d", "temperature": "T"}
    found = []
    for name in names:
        how = CONFIGURATIONS[name]
        if how.from_scratch and not is_from_scratch(scale.plan.model):
            continue
        settings = {key: scaled[key](value) if key in scaled else value for key, value in how.settings.items()}
        plan = scale.plan.replace(**settings)
        strategy, steps = how.strategy, scale.pretrain_steps
        if strategy == TUNING:
            strategy = "pretrain-finetune" if scale.pretrains else "single"
        elif how.text and scale.with_text:
            plan = plan.replace(tasks=(*plan.tasks, registry.text_task.name))
        if strategy == "multitask":  # as long as the others' two parts together
            plan = plan.replace(steps=steps + plan.steps)
        if not how.text or strategy == "single" or not scale.with_text:
            plan = plan.replace(text=None)
        stages = stages_of(strategy, plan, registry, None if strategy in ("single", "multitask") else steps)
        shown = [f"{symbols[key]}={value:,.0f}" for key, value in settings.items() if key in symbols]
        found.append(Configuration(name, tuple(stages), ", ".join([strategy, *shown])))
    return found
