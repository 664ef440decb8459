"""Solved examples that a model sees before each question: drawn from train, the same in every run of a seed."""

from __future__ import annotations

from random import Random

from glue_harness.core.errors import DataError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Example
from glue_harness.lab.request import Request
from glue_harness.lab.rundata import RunRows, at

SPARE = 8  # rows looked at for each shot


def draw_shots(plan: Plan, rows: RunRows, request: Request) -> dict[str, list[Example]]:
    """Task -> its examples, for the tasks that score it too. Fewer of them are the first of more."""
    found: dict[str, list[Example]] = {}
    for task in rows.trained:
        places = list(rows.parts[task.name].trained)
        Random(f"{plan.seed}/{task.name}").shuffle(places)
        some = places[: SPARE * plan.shots]
        by_place = dict(zip(sorted(some), at(rows.train(task.name), some), strict=True))
        found_of = [task.examples(by_place[place], place)[:1] for place in some]  # some rows become none
        shots = [example for examples in found_of for example in examples][: plan.shots]
        if len(shots) < plan.shots:
            raise DataError(f"{task.name}: {plan.shots} shots are more than its {len(shots)} training examples")
        found |= dict.fromkeys((task.name, *(scorer.name for scorer in request.groups.get(task.name, ()))), shots)
    return found
