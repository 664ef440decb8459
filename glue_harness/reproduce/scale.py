"""The size of an experiment: what all rows share, and how far it is from the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.settings import over
from glue_harness.data import available, training_size
from glue_harness.lab.recipes import values_of
from glue_harness.lab.request import make_request
from glue_harness.models.families import is_from_scratch, shapes
from glue_harness.suite.registry import Registry

TASKS = ("glue+superglue", "squad", "cnn_dailymail", "wmt_en_de", "wmt_en_fr", "wmt_en_ro")
STEPS, PRETRAIN_STEPS = 2**18, 2**19
T5_SIZES = (250, 40_836_715)  # training examples of the smallest and of the largest task in T5's mix: CB, WMT En-Fr
BASE = "t5:base"  # the shape that the paper's settings are for
SHARED = ("tasks", "data", "model", "steps", "batch_tokens")  # settings that make an experiment as large as the paper's


@dataclass(frozen=True)
class Scale:
    """What all rows share, and how far it is from the paper."""

    plan: Plan
    pretrain_steps: int
    with_text: bool
    sizes: Mapping[str, int]  # task -> training examples
    is_full: bool

    @property
    def pretrains(self) -> bool:
        """Whether rows that are tuned are pre-trained here first."""
        return is_from_scratch(self.plan.model) and self.with_text

    def limit(self, limit: float) -> float:
        """K at the same place between the smallest and the largest task as in T5's mix, on a logarithmic scale.

        K by itself would cap no task of a small mix, and K in proportion to the largest one would cap all of them.
        """
        if self.is_full:
            return limit
        small, large = min(self.sizes.values()), max(self.sizes.values())
        place = math.log(limit / T5_SIZES[0]) / math.log(T5_SIZES[1] / T5_SIZES[0])
        return float(max(1, round(small * (large / small) ** place)))

    def width(self, width: int) -> int:
        """An adapter's width in proportion to the model's own; as it is where the model's is not known to us."""
        known = shapes()
        if self.plan.model not in known:
            return width
        return max(1, round(width * known[self.plan.model]["d_model"] / known[BASE]["d_model"]))


def scale_of(given: Mapping[str, Any], share: float, pretrain_steps: int | None, registry: Registry) -> Scale:
    """T5's recipe over this share of the paper's steps, under the settings that are given."""
    recipe = values_of("t5", given.get("tasks", TASKS), registry)
    full = {"tasks": TASKS, "model": "google-t5/t5-base", "data": "hub", **recipe}
    plan = plan_from(over({**full, "steps": max(1, round(STEPS * share))}, given))
    if plan.epochs is not None:
        raise UsageError("the tables of the paper count steps: use --steps or --scale, not epochs")
    if plan.steps != STEPS and "eval_every" not in given:
        plan = plan.replace(eval_every=None)  # ten times a run
    first = pretrain_steps or max(1, round(PRETRAIN_STEPS * plan.steps / STEPS))
    sizes = {
        task.name: training_size(task, plan.data, plan.revision)
        for task in make_request(plan.replace(text=None), registry).trained
    }
    return Scale(
        plan=plan,
        pretrain_steps=first,
        with_text=plan.text is not None or available(registry.text_task, plan.data) == "yes",
        sizes={name: min(size, plan.train_limit or size) for name, size in sizes.items()},
        is_full=first == PRETRAIN_STEPS and all(getattr(plan, key) == full[key] for key in SHARED),
    )
