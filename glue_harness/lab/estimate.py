"""What a plan will cost, before an hour is spent: memory by counting, time by a few passes that train nothing."""

from __future__ import annotations

import math
import time
from statistics import median
from typing import Any, NamedTuple

from glue_harness.core.plan import Plan
from glue_harness.lab import room
from glue_harness.lab.assemble import Setup, plain_pass
from glue_harness.methods import scored_from
from glue_harness.train.answers import answer
from glue_harness.train.passes import accumulate

TIMED = 3  # updates
ASKED = 32  # examples of each task that are answered to see how long that takes
EVALUATIONS = 10  # a run, unless the plan says how often


def estimate(setup: Setup) -> dict[str, Any]:
    """Bytes of weights and optimiser state, and seconds of training and of evaluation."""
    seconds, evaluation = seconds_per_update(setup), seconds_per_evaluation(setup)
    plan = setup.request.plan
    every, first = evaluated_every(plan), scored_from(setup.learner.method, plan)
    evaluations = max(1, math.ceil(plan.steps / every) - max(0, first - 1) // every)
    whole = sum(len(asked.examples) for asked in setup.data.scoring.values())
    again = evaluation.an_example * whole if plan.eval_limit or plan.select == "heldout" else 0.0
    return {
        "steps": plan.steps,
        "parameters": setup.learner.counts,
        "learn_at_first": setup.learner.learn_at_first,
        "state_bytes": state_bytes(setup),
        "seconds_per_step": seconds,
        "training_seconds": seconds * plan.steps,
        "evaluations": evaluations,
        "evaluation_seconds": evaluations * evaluation.whole + again,
    }


class EvaluationCost(NamedTuple):
    whole: float  # seconds
    an_example: float


def seconds_per_evaluation(setup: Setup) -> EvaluationCost:
    """From some answers of each task. A model that has not learned yet writes long free texts: then it is too high."""
    plan, learner, examples, whole = setup.request.plan, setup.learner, 0, 0.0
    for task in setup.data.choosers:
        asked = setup.data.asked[task.name]
        count = len(asked.examples[: plan.eval_limit])
        spread = range(0, count, max(1, count // ASKED))  # from all of the split: its lengths are those of the whole
        some, tokens = [asked.examples[k] for k in spread], [asked.tokens[k] for k in spread]
        for _ in range(2):  # the first time, kernels are chosen and caches filled
            began = time.perf_counter()
            answer(learner.model, task, some, plan, setup.machine, tokens)
        whole += (time.perf_counter() - began) * count / len(some)
        examples += count
    return EvaluationCost(whole, whole / max(1, examples))


def evaluated_every(plan: Plan) -> int:
    """Steps between two evaluations."""
    return plan.eval_every or max(1, plan.steps // EVALUATIONS)


def state_bytes(setup: Setup) -> int:
    """In each process: weights, and gradients and moments of what learns, at its most."""
    counts = setup.learner.kept
    return room.state_bytes(setup.request.plan.optimizer, counts["total"], counts["trainable"])


def seconds_per_update(setup: Setup) -> float:
    """Median over a few forward and backward passes, each done once before, without graphs: making them takes longer
    than an estimate may. Gradients are thrown away."""
    learner, steps = setup.learner, setup.request.plan.steps
    if not steps:
        return 0.0
    module = learner.model.module.train()
    if hasattr(learner.method, "on_step"):
        learner.method.on_step(learner.model, learner.plan, steps // 2)  # half way, as an average
    taken, run = [], plain_pass(learner.plan, learner.method)
    for step in range(TIMED):
        for _ in range(2):
            began = time.perf_counter()
            sums = accumulate(learner.model, setup.feed.update(step % steps), setup.machine, setup.fit, run)
            sums.tolist()  # waits for a GPU
            module.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - began)
    return median(taken)
