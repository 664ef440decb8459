"""What to measure when there is a GPU: three parts of less than ten minutes each, what matters most first.

    python tests/benchmarks/gpu.py trust FOLDER                   its tests, the demo: are the numbers those of a CPU?
    python tests/benchmarks/gpu.py speed FOLDER                   against the Trainer and `generate`; where time goes
    python tests/benchmarks/gpu.py learn FOLDER DATA VOCABULARY   T5s from scratch on real rows

Each step is a process of its own with a limit. What does not fit into the minutes that are left is named and not begun.
What steps say is in FOLDER/PART.log as they say it, their figures in FOLDER/PART.jsonl. `--minutes N`, `--device cpu`
and `--model tiny` try a part where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__)
ROOT = HERE.parent.parent.parent
PYTHON = [sys.executable, "-u"]
GLUE = [*PYTHON, "-m", "glue_harness"]
OURS = [*PYTHON, str(HERE.with_name("gpu_steps.py"))]
MINUTES = 9.5
COMPLETE = "cola,sst2,mrpc,stsb,rte"  # sets whose real rows are all at hand


class Step(NamedTuple):
    name: str
    command: list[str]
    seconds: int  # at most


def trust(given: argparse.Namespace) -> Iterator[Step]:
    tests = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "-rPfE", "-m", "gpu", "--durations=10", "tests"]
    yield Step("the tests that need a GPU", [*PYTHON, *tests], 360)
    yield Step("the demo", [*GLUE, "demo"], 150)
    yield Step("a run", [*GLUE, "run", "--task", "mnli", "--demo", "--device", given.device], 60)


def speed(given: argparse.Namespace) -> Iterator[Step]:
    device = ["--device", given.device]
    large, bert, small = [given.model] * 3 if given.model else ("t5:base", "bert:base", "t5:small")
    sizes = ((large, 32, 160), (large, 128, 160), (bert, 32, 110), (bert, 128, 110), (small, 32, 90), (small, 128, 90))
    for model, size, seconds in sizes:
        contest = [*OURS, "contest", model, str(size), *device, "--out", given.figures]
        yield Step(f"{model}, updates of {size}", contest, seconds)
        if model == large and size == 32:
            yield Step(f"{model}: waits and kernels", [*OURS, "profile", model, str(size), *device], 90)
            yield Step(f"{model}, T5's recipe", [*OURS, "recipe", model, "0", *device, "--out", given.figures], 90)


def learn(given: argparse.Namespace) -> Iterator[Step]:
    common = [
        "run",
        "--data",
        given.data,
        "--recipe",
        "modern",
        "--tokenizer",
        given.vocabulary,
        "--device",
        given.device,
    ]
    share = 0.42 * 60 * given.minutes
    for model, tasks in ((given.model or "t5:small", "sst2"), (given.model or "t5:mini", COMPLETE)):
        plan = [*common, "--task", tasks, "--model", model, "--batch-size", "128", "--lr", "2e-3"]
        plan += ["--set", "max_input=128"]
        told = subprocess.run([*GLUE, *plan, "--dry-run", "--json"], capture_output=True, text=True, cwd=ROOT)
        if told.returncode:
            raise SystemExit(told.stderr)
        cost = json.loads(told.stdout)
        evaluation = cost["evaluation_seconds"] / cost["evaluations"]
        steps = max(20, int((0.7 * share - 8 * evaluation) / cost["seconds_per_step"]))
        limits = ["--steps", str(steps), "--eval-every", str(-(-steps // 8))]
        yield Step(f"{model} on {tasks}, {steps:,} steps", [*GLUE, *plan, *limits], int(share))


def carry_out(part: str, given: argparse.Namespace) -> None:
    folder, began = Path(given.folder).resolve(), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    given.figures = str(folder / f"{part}.jsonl")
    own = {
        "GLUE_RESULTS": str(folder / "results"),
        "GLUE_LEADERBOARDS": str(folder / "boards"),
        "PYTHONPATH": str(ROOT),
    }
    with open(folder / f"{part}.log", "a", encoding="utf-8") as log:

        def say(text: str) -> None:
            print(text, flush=True)
            log.write(text + "\n")
            log.flush()

        for step in {"trust": trust, "speed": speed, "learn": learn}[part](given):
            left = 60 * given.minutes - (time.monotonic() - began)
            if left < min(30, step.seconds):
                say(f"## {step.name}: not begun, {left:.0f} s are left")
                continue
            say(f"## {step.name}\n$ {' '.join(step.command)}")
            since = time.monotonic()
            try:
                done = subprocess.run(
                    step.command,
                    cwd=ROOT,
                    env={**os.environ, **own},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=min(left, step.seconds),
                )
                said, end = done.stdout, f"exit code {done.returncode}"
            except subprocess.TimeoutExpired as late:
                said, end = (late.stdout or b"").decode(errors="replace"), "stopped at its limit"
            say(f"{said}{end}, {time.monotonic() - since:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("trust", "speed", "learn"))
    parser.add_argument("folder")
    parser.add_argument("data", nargs="?")
    parser.add_argument("vocabulary", nargs="?")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="")
    given = parser.parse_args()
    if given.part == "learn" and not given.vocabulary:
        parser.error("learn needs DATA and VOCABULARY")
    carry_out(given.part, given)


if __name__ == "__main__":
    main()
