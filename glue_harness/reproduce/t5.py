"""The T5 paper's tables as lists of runs. What was published stands in published.json; here is how we make it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from glue_harness.core.plan import Plan
from glue_harness.lab.recipes import Applied
from glue_harness.lab.strategy import stages_of
from glue_harness.models.families import is_from_scratch
from glue_harness.reproduce.configuration import Configuration, last, noise_of
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


SCALED = "A scaled run: it compares the order of the rows with the paper's, not the level of the scores."
CELLS = "Each cell: ours, the paper's, and the difference with half its 95 % interval."
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


@dataclass(frozen=True)
class T5Table:
    """A table of the paper, planned."""

    rows: Sequence[str]
    scale: Scale
    registry: Registry
    left_out = "it needs a model from scratch"  # why a row is not made

    @property
    def plan(self) -> Plan:
        """What all rows share."""
        return self.scale.plan

    @property
    def is_full(self) -> bool:
        return self.scale.is_full

    def like(self, plan: Plan) -> T5Table:
        """With the model and the precision that were found for the plan."""
        settled = self.plan.replace(model=plan.model, precision=plan.precision)
        return replace(self, scale=replace(self.scale, plan=settled))

    def configurations(self) -> list[Configuration]:
        return configurations_of(self.rows, self.scale, self.registry)

    def head(self, configurations: Sequence[Configuration], seeds: int) -> tuple[str, ...]:
        return head(self.scale, configurations, Applied("t5", self.registry).note(self.plan), seeds)


def head(scale: Scale, configurations: Sequence[Configuration], recipe: str, seeds: int) -> tuple[str, ...]:
    """What was done otherwise than in the paper, and what the numbers mean."""
    plan = scale.plan
    said = [] if scale.is_full else [SCALED]
    said.append(
        f"{last(plan.model)}, data {last(plan.data)}, tasks {', '.join(plan.tasks)}: {plan.steps:,} steps of "
        f"{plan.update}, and {scale.pretrain_steps:,} before them where a row pre-trains or mixes. The paper: T5-Base "
        "(220M), 2^18 steps of 2^16 tokens, and 2^19 before them."
    )
    if scale.pretrains:
        said.append(
            "Tuned rows start from a model that was pre-trained here, on text alone; the others from random weights."
        )
    elif is_from_scratch(plan.model):
        said.append("There is no text: every row starts from random weights, and no mixture holds span corruption.")
    else:
        text = "" if scale.with_text else ", and no mixture holds span corruption"
        said.append(
            f"Every row starts from {last(plan.model)}, whose makers chose what it was pre-trained on{text}; the paper "
            "tunes a model that read text alone, and trains the rows of Tables 11 and 12 from random weights "
            "(--model t5:base --tokenizer DIR --text DIR)."
        )
    said.append(recipe + ".")
    if not scale.is_full and any("K=" in one.settings for one in configurations):
        limits = ", ".join(f"2^{power} is {scale.limit(2.0**power):,.0f}" for power in (16, 19, 21))
        said.append(
            f"K keeps its place between the smallest and the largest task on a logarithmic scale: {limits}. "
            "T is a power of the rates and stays."
        )
    widths = [CONFIGURATIONS[one.name].settings.get("adapter_width") for one in configurations]
    if any(width and scale.width(width) != width for width in widths):
        said.append("Adapters are as wide in proportion to the model as in the paper.")
    said.append(f"{CELLS} Ours has {noise_of(seeds)}; the paper's has the seeds of its baseline's ten runs.")
    return tuple(said)
