"""How fast training and answering are, against transformers' Trainer and `generate` in the same process."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import replace
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from glue_harness.bench.contestants import answering, ask, train_once, training
from glue_harness.bench.measure import FORMULA, TRAINING, PartClock, forward_flops, measure
from glue_harness.bench.synthetic import MIX, SYNTHETIC
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.lab.assemble import Setup, assemble
from glue_harness.lab.request import Request, make_request
from glue_harness.models.encoder import Encoder
from glue_harness.suite.registry import Registry
from glue_harness.train import device, loop
from glue_harness.train.weights import Weights

# What both sides do. The rate stays as it is because a Trainer that runs again would begin with the last one.
COMMON = {"optimizer": "adamw", "schedule": "constant", "warmup": 0, "micro_batch": None, "max_input": 128}
PARTS_OF_A_STEP = ("data", "forward", "backward", "optimizer", "sync", "other")


def prepared(plan: Plan, registry: Registry) -> Setup:
    """What all contestants work with."""
    request = make_request(plan.replace(**COMMON), registry)
    noisy = [task.name for task in request.trained if task.noise]
    if noisy:
        raise UsageError(f"glue bench needs tasks whose targets do not change: leave out {', '.join(noisy)}")
    return assemble(replace(request, plan=as_in_long_runs(request)))


def as_in_long_runs(request: Request) -> Plan:
    """With graphs on CUDA, few as the steps are, as the Trainer at its best has them.

    Tasks weigh what they do officially, so that a part of the data has the whole's mix.
    """
    plan = request.plan
    if plan.compile == "auto" and device.choose(plan).type == "cuda":
        plan = plan.replace(compile="on")
    sizes = {task.name: task.source.rows.get("train", 0) for task in request.trained}
    return plan.replace(mixing="custom", rates=sizes) if all(sizes.values()) else plan


def bench(plan: Plan, registry: Registry, repeats: int, answers: int) -> dict[str, Any]:
    """Interleaved repeats of the plan's steps and of `answers` label questions; ratios are our speed over theirs."""
    if importlib.util.find_spec("accelerate") is None:
        raise UsageError(
            "glue bench compares with transformers' Trainer, which needs accelerate: pip install 'glue-harness[bench]'"
        )
    setup = prepared(plan, registry)
    questions, model = ask(setup, answers), setup.learner.model
    encoded = [example for step in range(plan.steps) for example in setup.feed.drawn(step)]
    config = model.config if isinstance(model, Encoder) else model.module.config
    flops = TRAINING * sum(forward_flops(config, *e.sizes) for e in encoded)
    train = measure(training(setup, encoded), repeats, setup.machine, encoded, flops)
    encoded = [tokens for task, examples in questions for tokens in model.encode(task, examples)]
    answered = measure(answering(setup, questions), repeats, setup.machine, encoded)
    return {"train": train, "answers": answered, "setup": describe(setup), "repeats": repeats, "flops": FORMULA}


def profile(plan: Plan, registry: Registry) -> dict[str, Any]:
    """Where the time of the plan's steps goes: medians over all but the first, in seconds, of the real loop."""
    setup = prepared(plan, registry)
    timed: dict[str, list[tuple[Any, str]]] = {
        "data": [(setup.feed, "update"), (setup.learner.model, "lay")],
        "forward": [(setup.learner.model, "loss")],
        "backward": [(torch.Tensor, "backward")],
        "optimizer": [(Weights, "clip"), (torch.optim.AdamW, "step"), (torch.optim.AdamW, "zero_grad")],
        "sync": [(loop, "settle")],
    }
    clock, steps = PartClock(setup.machine.device), []
    with contextlib.ExitStack() as stack:
        for phase, places in timed.items():
            for owner, name in places:
                stack.enter_context(patch.object(owner, name, clock.timed(phase, getattr(owner, name))))
        train_once(setup, [loop.Hook(1, lambda state: steps.append(clock.take()))])
    seconds = {phase: median(step[phase] for step in steps[1:]) for phase in PARTS_OF_A_STEP}
    total = sum(seconds.values())
    parts = {phase: {"seconds": taken, "share": taken / total} for phase, taken in seconds.items()}
    return {"profile": {"step": total, "parts": parts}, "setup": describe(setup)}


def describe(setup: Setup) -> dict[str, Any]:
    plan = setup.request.plan
    return {
        **setup.machine.describe(),
        "model": plan.model,
        "parameters": setup.learner.counts["total"],
        "data": MIX if plan.tasks == (SYNTHETIC.name,) else plan.data,
        "tasks": sorted(setup.data.training),
        "updates": plan.steps,
        "batch_size": plan.batch_size,
        "max_input": plan.max_input,
        "optimizer": plan.optimizer,
        "bf16_weights": plan.bf16_weights,
        "cuda_graphs": plan.cuda_graphs,
    }
