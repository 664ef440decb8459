"""What families have in common where they learn from text alone."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

from glue_harness.core.errors import UsageError
from glue_harness.core.task import Task
from glue_harness.models.interface import Answer
from glue_harness.models.packing import Stream
from glue_harness.suite.text_alone import Told


def refuse_other_objectives(model: str, tasks: Sequence[Task], kind: type | tuple[type, ...] | None, own: str) -> None:
    """Each family learns from text in one way."""
    refused = (task.name for task in tasks if task.noise and (kind is None or not isinstance(task.noise, kind)))
    if others := list(dict.fromkeys(refused)):  # one that is trained is scored too
        fix = f"its objective is {own}" if own else "use another family"
        raise UsageError(f"model {model!r} cannot learn {', '.join(others)} from text alone: {fix}")


def part_of(ids: Stream, length: int, random: Random) -> tuple[list[int], bool]:
    """Of a text that is too long a part that begins at a random token; and whether the text ends with it."""
    start = random.randint(0, max(0, len(ids) - length))
    return list(map(int, ids[start : start + length])), start + length >= len(ids)


def told(losses: Tensor, right: Tensor, terms: Sequence[int], follows: Sequence[bool] = ()) -> list[Answer]:
    """Of each example, from what each of its tokens cost and whether it was the likeliest; and whether it was told
    rightly that the second segment follows."""
    sums = torch.stack([losses.double(), right.double()], dim=1).cpu().split(list(terms))
    totals = [part.sum(0).tolist() for part in sums]
    found = [Told(loss, int(count), size) for (loss, count), size in zip(totals, terms, strict=True)]
    if follows:
        found = [one._replace(next_right=int(own), pairs=1) for one, own in zip(found, follows, strict=True)]
    return [Answer(one.printed(), {}) for one in found]
