"""How fast training and answering are, against transformers' Trainer and `generate` in the same process."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from glue_harness.bench.answering import answering_sides, questions
from glue_harness.bench.contest import Side, Times, compete, speed_up
from glue_harness.bench.flops import FORMULA, TRAINING, forward_flops, peak_flops
from glue_harness.bench.profile import profile
from glue_harness.bench.synthetic import MIX, SYNTHETIC
from glue_harness.bench.training import require_accelerate, training_sides
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.lab.assemble import Setup, assemble
from glue_harness.lab.request import Chosen, choose_tasks
from glue_harness.models.interface import count_parameters
from glue_harness.suite.registry import Registry
from glue_harness.train import device

__all__ = ["bench", "profile_steps"]

# What both sides do. The rate stays as it is because a Trainer that runs again would begin with the last one.
COMMON = {"optimizer": "adamw", "schedule": "constant", "warmup": 0, "micro_batch": None, "max_input": 128}


def bench(plan: Plan, registry: Registry, repeats: int, answers: int) -> dict[str, Any]:
    """Interleaved repeats of the plan's steps and of `answers` label questions; ratios are our speed over theirs."""
    require_accelerate()
    setup = prepared(plan, registry)
    asked = questions(setup, answers)
    updates = [setup.feed.update(step) for step in range(plan.steps)]
    encoded = [example for step in range(plan.steps) for example in setup.feed.drawn(step)]
    flops = TRAINING * sum(forward_flops(setup.model.module.config, e.length, e.target_length) for e in encoded)
    with training_sides(setup, updates, encoded) as sides:
        train = report(setup, sides, compete(sides, repeats, setup.machine.device), encoded, flops)
    sides = answering_sides(setup, asked)
    encoded = setup.model.encode([example for examples in asked.values() for example in examples])
    answered = report(setup, sides, compete(sides, repeats, setup.machine.device), encoded)
    return {"train": train, "answers": answered, "setup": describe(setup), "repeats": repeats, "flops": FORMULA}


def profile_steps(plan: Plan, registry: Registry) -> dict[str, Any]:
    """Where the time of the plan's steps goes."""
    setup = prepared(plan, registry)
    return {"profile": profile(setup), "setup": describe(setup)}


def prepared(plan: Plan, registry: Registry) -> Setup:
    """Tasks weigh what they do officially, so that a part of the data has the whole's mix."""
    plan = compiled_as_usual(plan.replace(**COMMON))
    chosen = choose_tasks(plan, registry)
    noisy = [task.name for task in chosen.trained if task.noise]
    if noisy:
        raise UsageError(f"glue bench needs tasks whose targets do not change: leave out {', '.join(noisy)}")
    return assemble(by_official_size(plan, chosen), registry, chosen)


def compiled_as_usual(plan: Plan) -> Plan:
    """With graphs on CUDA, few as the steps are: a long run has them, and so has the Trainer at its best."""
    usual = plan.compile == "auto" and device.choose(plan).type == "cuda"
    return plan.replace(compile="on") if usual else plan


def by_official_size(plan: Plan, chosen: Chosen) -> Plan:
    sizes = {task.name: task.source.rows.get("train", 0) for task in chosen.trained}
    return plan.replace(mixing="custom", rates=sizes) if all(sizes.values()) else plan


def report(
    setup: Setup, sides: Sequence[Side], times: dict[str, Times], encoded: Sequence[Any], flops: int | None = None
) -> dict[str, Any]:
    """Ratios against every other side, and what each side did, at which speed."""
    ours, *others = sides
    inputs = sum(e.length for e in encoded)
    tokens = inputs + sum(e.target_length for e in encoded)
    peak = peak_flops(setup.machine.device, setup.machine.precision)
    found: dict[str, Any] = {f"vs_{side.name}": speed_up(times[ours.name], times[side.name]) for side in others}
    found["examples"] = len(encoded)
    found["sides"] = {}
    for side in sides:
        taken = times[side.name]
        seconds = median(taken.seconds)
        speed = {"flops_per_second": flops / seconds, "mfu": peak and flops / seconds / peak} if flops else {}
        found["sides"][side.name] = {
            "does": side.does,
            "seconds": seconds,
            "all_seconds": taken.seconds,
            "warm_up_seconds": taken.extra,
            "tokens_per_second": tokens / seconds,
            "padding": 1 - inputs / side.padded,
            "peak_bytes": taken.memory,
            **speed,
        }
    return found


def describe(setup: Setup) -> dict[str, Any]:
    plan = setup.plan
    return {
        **setup.machine.describe(),
        "model": plan.model,
        "parameters": count_parameters(setup.model.module.parameters()),
        "data": MIX if plan.tasks == (SYNTHETIC.name,) else plan.data,
        "tasks": sorted(setup.training),
        "updates": plan.steps,
        "batch_size": plan.batch_size,
        "max_input": plan.max_input,
        "optimizer": plan.optimizer,
    }
