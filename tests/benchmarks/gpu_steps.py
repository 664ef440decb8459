"""Steps of gpu.py: `contest MODEL SIZE`, `recipe MODEL 0` and `profile MODEL SIZE`, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from glue_harness.bench import as_in_long_runs, prepared
from glue_harness.bench.contestants import answering, ask, train_once, training
from glue_harness.bench.measure import TRAINING, Contestant, forward_flops, measure, now, peak_flops
from glue_harness.bench.synthetic import without_data
from glue_harness.core.plan import Plan
from glue_harness.lab.assemble import Setup, assemble
from glue_harness.lab.request import make_request
from glue_harness.models.encoder import Encoder
from glue_harness.suite.registry import Registry
from glue_harness.train.loop import Hook
from glue_harness.train.replays import USES

WAYS: dict[str, dict[str, Any]] = {
    "eager": {"compile": "off"},
    "copies": {"compile": "off", "bf16_weights": "on"},
    "compiled": {"compile": "on"},
    "compiled, copies": {"compile": "on", "bf16_weights": "on"},
    "graphs": {"compile": "off", "bf16_weights": "on", "cuda_graphs": "on"},
    "compiled, graphs": {"compile": "on", "bf16_weights": "on", "cuda_graphs": "on"},
}
UPDATES, ROUNDS, ANSWERS = 24, 3, 1024


def ways(device: str) -> dict[str, dict[str, Any]]:
    return WAYS if device == "cuda" else {"eager": WAYS["eager"], "copies": WAYS["copies"]}


def contest(plan: Plan, registry: Registry) -> dict[str, Any]:
    """Our loop in every way, the padded Trainer and the tuned one, in turns on the same weights and updates."""
    setups = {name: prepared(plan.replace(**switches), registry) for name, switches in ways(plan.device).items()}
    first = next(iter(setups.values()))
    encoded = [example for step in range(plan.steps) for example in first.feed.drawn(step)]
    theirs = training(first, encoded)[1:]
    seen = training_tokens(first)
    ours = [Contestant(name, name, seen, lambda setup=setup: train_once(setup)) for name, setup in setups.items()]
    warm(setups)
    flops = TRAINING * sum(forward_flops(config_of(first), *e.sizes) for e in encoded)
    found = measure([*ours, *theirs], ROUNDS, first.machine, encoded, flops)
    seconds = {name: side["seconds"] for name, side in found["sides"].items()}
    speeds = {name: {other.name: seconds[other.name] / seconds[name] for other in theirs} for name in setups}
    questions, model = ask(first, ANSWERS), first.learner.model
    tokens = [encoded for task, examples in questions for encoded in model.encode(task, examples)]
    answers = measure(answering(first, questions), ROUNDS, first.machine, tokens)
    return {"train": found, "speeds": speeds, "answers": answers, "notes": notes(setups)}


def recipe(plan: Plan, registry: Registry) -> dict[str, Any]:
    """T5's own recipe: Adafactor, dropout, z-loss, updates of 2^16 tokens in rows of 512. The Trainer has no such thing."""
    asked = {"optimizer": "adafactor", "dropout": 0.1, "z_loss": 1e-4, "schedule": "constant", "clip": None, "steps": 6}
    asked |= {"batch_tokens": 2**16, "max_input": 512, "max_target": 62}
    if plan.device != "cuda":
        asked["batch_tokens"] = 2**10
    request = make_request(plan.replace(**asked), registry)
    setups = {
        name: assemble(replace(request, plan=as_in_long_runs(request).replace(**switches)))
        for name, switches in ways(plan.device).items()
    }
    first = next(iter(setups.values()))
    encoded = [example for step in range(first.request.plan.steps) for example in first.feed.drawn(step)]
    seen = training_tokens(first)
    ours = [Contestant(name, name, seen, lambda setup=setup: train_once(setup)) for name, setup in setups.items()]
    warm(setups)
    flops = TRAINING * sum(forward_flops(config_of(first), *e.sizes) for e in encoded)
    return {"train": measure(ours, ROUNDS, first.machine, encoded, flops), "notes": notes(setups)}


def profile(plan: Plan, registry: Registry) -> dict[str, Any]:
    """Waits by place, launches and the device's busy share of a step, and the kernels that take longest."""
    from torch.profiler import ProfilerActivity

    found: dict[str, Any] = {}
    for name, switches in ways(plan.device).items():
        setup = prepared(plan.replace(**switches), registry)
        warm({name: setup})
        on_gpu, waits = setup.machine.on_gpu, waits_of(setup)
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        began = now(setup.machine.device)
        with torch.profiler.profile(activities=activities) as traced:
            train_once(setup)
        wall = now(setup.machine.device) - began
        events = traced.key_averages()
        launches = sum(
            e.count for e in events if e.key in ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC")
        )
        busy = sum(e.self_device_time_total for e in events) / 1e6
        order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
        print(f"### {name}\n{events.table(sort_by=order, row_limit=20, max_name_column_width=60)}")
        found[name] = {"waits": waits, "launches_a_step": launches / plan.steps, "busy": busy / wall}
        print(json.dumps(found[name]), flush=True)
    return found


def waits_of(setup: Setup) -> Counter[str]:
    """Places where torch made the host wait, in all steps but the last."""
    if not setup.machine.on_gpu:
        return Counter()
    last = setup.request.plan.steps - 1
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        train_once(setup, [Hook(1, lambda state: torch.cuda.set_sync_debug_mode("warn" if state.step < last else 0))])
        torch.cuda.set_sync_debug_mode(0)
    return Counter(f"{w.filename.rpartition('/')[2]}:{w.lineno}" for w in seen if "synchroniz" in str(w.message))


def config_of(setup: Setup) -> Any:
    model = setup.learner.model
    return model.config if isinstance(model, Encoder) else model.module.config


def training_tokens(setup: Setup) -> int:
    return sum(setup.feed.update(step).padded for step in range(setup.request.plan.steps))


def warm(setups: dict[str, Setup]) -> None:
    """Until graphs are made of every shape that comes."""
    for name, setup in setups.items():
        began = time.perf_counter()
        for _ in range(1 + USES * (setup.request.plan.cuda_graphs == "on")):
            train_once(setup)
        print(f"{name}: warm after {time.perf_counter() - began:.1f} s", flush=True)


def notes(setups: dict[str, Setup]) -> dict[str, Sequence[str]]:
    return {name: setup.fit.notes for name, setup in setups.items() if setup.fit.notes}


def show(found: dict[str, Any]) -> None:
    for part in ("train", "answers"):
        for name, side in found.get(part, {}).get("sides", {}).items():
            mfu, memory = side.get("mfu"), side["peak_bytes"]
            figures = [f"{side['seconds']:.3f} s", f"{side['tokens_per_second']:,.0f} tokens/s"]
            figures += [f"MFU {mfu:.1%}"] if mfu else []
            figures += [f"{memory / 2**20:,.0f} MiB"] if memory else []
            print(f"{part}, {name}: {', '.join(figures)}")
    for name, times in found.get("speeds", {}).items():
        print(f"{name}: {', '.join(f'{many:.2f} times as fast as {other}' for other, many in times.items())}")
    for name, value in found.get("answers", {}).items():
        if name.startswith("vs_"):
            print(f"answers: {value:.2f} times as fast as {name[3:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("contest", "recipe", "profile"))
    parser.add_argument("model")
    parser.add_argument("size", type=int)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", default="")
    given = parser.parse_args()
    precision = {} if given.device == "cuda" else {"precision": "bf16"}
    plan = Plan(("x",), model=given.model, steps=UPDATES, batch_size=given.size or 32, device=given.device, **precision)
    if given.device != "cuda":
        plan = plan.replace(steps=3)
    with without_data(plan, ANSWERS if given.device == "cuda" else 32) as (plan, registry):
        found = {"contest": contest, "recipe": recipe, "profile": profile}[given.step](plan, registry)
    device = torch.device(given.device)
    facts = {"step": given.step, "model": given.model, "size": given.size, "torch": torch.__version__}
    facts["peak"] = peak_flops(device, "bf16")
    facts["device"] = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    show(found)
    if given.out:
        with open(given.out, "a", encoding="utf-8") as file:
            file.write(json.dumps({**facts, **found}) + "\n")


if __name__ == "__main__":
    main()
