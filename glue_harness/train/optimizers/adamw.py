"""AdamW, in torch's own fused form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting

SETTINGS = (
    Setting("weight_decay", float, 0.0, "Decay of the weights, for --optimizer adamw.", least=0),
    Setting(
        "decayed",
        str,
        "all",
        "What weight_decay is for: all, or matrices (no biases, no norms), as in BERT.",
        choices=("all", "matrices"),
    ),
)


def make(plan: Plan, groups: Sequence[dict[str, Any]]) -> Optimizer:
    if plan.decayed == "matrices":
        groups = [part for group in groups for part in by_shape(group)]
    return torch.optim.AdamW(groups, lr=plan.lr, weight_decay=plan.weight_decay, fused=True)


def by_shape(group: dict[str, Any]) -> list[dict[str, Any]]:
    """The matrices of a group, and its biases and scales of norms, which do not decay."""
    matrices = [parameter for parameter in group["params"] if parameter.dim() > 1]
    others = [parameter for parameter in group["params"] if parameter.dim() <= 1]
    parts = [{**group, "params": matrices}, {**group, "params": others, "weight_decay": 0.0}]
    return [part for part in parts if part["params"]]
