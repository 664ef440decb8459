"""Named sets of settings: how T5 was fine-tuned by its paper and code, and what came out best when measured here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from glue_harness.core.errors import unknown
from glue_harness.core.plan import Plan
from glue_harness.core.task import Task
from glue_harness.lab.request import select
from glue_harness.suite.registry import Registry

LENGTHS = {"glue": (512, 84), "superglue": (512, 62), "qa": (512, 97)}  # suite -> tokens of inputs, of targets
OTHER_LENGTHS = (512, 512)
Settings = dict[str, Any]

T5_UPDATES: Settings = {
    "optimizer": "adafactor",
    "lr": 1e-3,
    "schedule": "constant",
    "warmup": 0,
    "weight_decay": 0.0,
    "clip": None,
    "dropout": 0.1,
}


def t5(tasks: Sequence[Task]) -> Settings:
    """How T5 was fine-tuned. Lengths are those of the suite that all tasks are from."""
    suites = {task.suite for task in tasks}
    max_input, max_target = LENGTHS.get(suites.pop(), OTHER_LENGTHS) if len(suites) == 1 else OTHER_LENGTHS
    return {
        "steps": 2**18,
        "batch_tokens": 2**16,
        **T5_UPDATES,
        "z_loss": 1e-4,
        "max_input": max_input,
        "max_target": max_target,
        "max_answer": 128,
        "answers": "strict",
        "eval_every": 5000,
    }


def modern(tasks: Sequence[Task]) -> Settings:
    """What came out best of those measured (docs/measurements.md): T5's optimiser, smaller updates, closed answers."""
    return {
        "batch_size": 32,
        **T5_UPDATES,
        "answers": "closed",
        "eval_every": None,
    }


RECIPES: dict[str, Callable[[Sequence[Task]], Settings]] = {"t5": t5, "modern": modern}


def values_of(name: str, tasks: Sequence[str], registry: Registry) -> Settings:
    """A recipe for these tasks, as settings of a plan."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name](select(Plan(tuple(tasks)), registry))


def departures(name: str, plan: Plan, registry: Registry) -> str:
    """What a record says of a plan that was made from a recipe."""
    asked = values_of(name, plan.tasks, registry)
    other = [f"{key} {getattr(plan, key)}" for key, value in asked.items() if getattr(plan, key) != value]
    return f"recipe {name}" + (f", but {', '.join(other)}" if other else "")
