"""Optimisers, one file each, and how their learning rate goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import load_plugin
from glue_harness.models.interface import Parts

Group = dict[str, Any]  # `params`, and `scale`: their share of the learning rate


def make_optimizer(plan: Plan, parameters: Iterable[nn.Parameter], parts: Parts | None = None) -> Optimizer:
    """The plan's optimiser: a file here defines `make(plan, groups)` and, where it has any, `SETTINGS`."""
    groups: list[Group] = [{"params": list(parameters), "scale": 1.0}]
    if parts and plan.layer_decay != 1:
        groups = by_depth(groups[0]["params"], parts, plan.layer_decay)
        if len(groups) == 1:
            raise UsageError(
                f"layer_decay is {plan.layer_decay:g} but all that method {plan.method} trains learns at one rate: "
                "use --set layer_decay=1"
            )
    groups = [own for group in groups for own in by_kind(group)]
    return load_plugin("optimizer", plan.optimizer).make(plan, groups)


def by_kind(group: Group) -> list[Group]:
    """Weights of which each process keeps a part, and whole ones: no operation of torch's takes both."""
    kinds = dict.fromkeys(type(parameter.data) for parameter in group["params"])
    if len(kinds) < 2:
        return [group]
    return [{**group, "params": [p for p in group["params"] if type(p.data) is kind]} for kind in kinds]


def by_depth(parameters: Sequence[nn.Parameter], parts: Parts, decay: float) -> list[Group]:
    """Parameters by their share of the rate, decay^depth: 1 for the heads and what else stands above the blocks, decay
    for the top block of each stack, and so on down; least, one power below the deepest stack, for what is in no block.
    """
    deepest = max(map(len, parts.stacks), default=0)
    depths = {id(p): 0 for module in (*parts.heads, *parts.above) for p in module.parameters()}
    for stack in parts.stacks:
        for depth, block in enumerate(reversed(stack), 1):
            depths |= {id(p): depth for p in block.parameters()}
    of_depth: dict[int, list[nn.Parameter]] = defaultdict(list)
    for parameter in parameters:
        of_depth[depths.get(id(parameter), deepest + 1)].append(parameter)
    return [{"params": of_depth[depth], "scale": decay**depth} for depth in sorted(of_depth)]


def learning_rate(plan: Plan) -> Callable[[int], float]:
    """The rate of a step: a linear rise over the warm-up's steps, then constant or a linear fall to 0."""
    warmup = plan.warmup or int(plan.warmup_share * plan.steps)

    def rate(step: int) -> float:
        if step < warmup:
            return plan.lr * (step + 1) / warmup
        if plan.schedule == "constant":
            return plan.lr
        return plan.lr * (plan.steps - step) / max(1, plan.steps - warmup)

    return rate
