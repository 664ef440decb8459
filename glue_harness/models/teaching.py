"""What a student learns of its teacher, beside the labels: how the teacher's shares become a loss.

    loss = (1 - alpha) hard + alpha T^2 KL(teacher_T || student_T)

with both softened by the temperature T: p_T is proportional to p^(1/T) (Hinton et al., 2015, section 2; T^2 keeps the
size of the gradient when T changes). Of a number the soft part is the squared difference to the teacher's number. What
holds inner states together (models/matching.py) is added to the soft part.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from glue_harness.core.plan import Plan
from glue_harness.models.interface import Choices, Loss, Model


def taught(plan: Plan, model: Model, batch: Any, lean: bool) -> Loss:
    """A model's loss on a batch under its plan's teacher, if it has one."""
    if plan.teacher is None:
        return model.loss(batch, lean)
    matching = getattr(model, "matching", None)
    with matching.own.heard(lean) if matching else nullcontext():
        hard, found = model.graded(batch, lean)
    each = torch.zeros_like(hard.each)
    for choices in found:
        soft = soft_losses(choices, plan.temperature_of_teacher) * choices.weight
        own = soft if choices.owners is None else soft[choices.owners]
        each = each.index_put((choices.terms,), own.to(each.dtype))
    if matching:
        each = each + matching.losses(batch)[batch.owners].to(each.dtype)
    alpha = plan.alpha
    return Loss((1 - alpha) * hard.total + alpha * each.sum(), (1 - alpha) * hard.each + alpha * each.detach())


def soft_losses(found: Choices, temperature: float) -> Tensor:
    """Of each example."""
    scores = found.scores.to(torch.promote_types(found.scores.dtype, torch.float32))
    if found.is_number:
        return (scores[:, 0] - found.soft[:, 0]).square()
    wanted = (found.soft.log() / temperature).softmax(-1)
    # where nothing is wanted the logarithm may be infinite, and infinity times 0 is none
    logs = (scores / temperature).log_softmax(-1).masked_fill(wanted == 0, 0.0)
    return temperature**2 * (wanted.xlogy(wanted) - wanted * logs).sum(-1)


def two_neighbours(number: float, scale: Sequence[float]) -> list[float]:
    """Shares of the numbers of a rising scale whose mean is the number: of its two neighbours, or of the nearer end."""
    place = min(max(bisect_right(scale, number) - 1, 0), len(scale) - 2)
    low, high = scale[place], scale[place + 1]
    above = min(max((number - low) / (high - low), 0.0), 1.0)
    shares = [0.0] * len(scale)
    shares[place], shares[place + 1] = 1 - above, above
    return shares


def mean_of(shares: Sequence[float], scale: Sequence[float]) -> float:
    return sum(share * number for share, number in zip(shares, scale, strict=True))
