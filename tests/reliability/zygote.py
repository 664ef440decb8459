"""A warm process that forks one child a run, and kills it where it is told to.

Reads a JSON line per run from stdin, writes a JSON line with its fate to stdout. Importing torch takes seconds: here
it happens once. Run by a fixture in `conftest.py`, apart from pytest, so that no thread is alive when it forks.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch

from glue_harness import Plan, run
from glue_harness.core.errors import GlueError
from glue_harness.core.plan import plan_from

DISK = ((os, "replace"), (os, "fsync"), (os, "mkdir"), (os, "unlink"), (shutil, "rmtree"), (os, "write"))


def patched(owner: object, name: str, act: Callable[[], None], after: bool) -> None:
    original = getattr(owner, name)

    def instead(*args: object, **kwargs: object) -> object:
        if not after:
            act()
        found = original(*args, **kwargs)
        if after:
            act()
        return found

    setattr(owner, name, instead)


def die_at(nth: int, number: int = signal.SIGKILL) -> Callable[[], None]:
    calls = [0]

    def act() -> None:
        calls[0] += 1
        if calls[0] == nth:
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # a signal that is not SIGKILL is handled now, in this frame

    return act


def fail_at(nth: int, error: type[Exception]) -> Callable[[], None]:
    calls = [0]

    def act() -> None:
        calls[0] += 1
        if calls[0] == nth:
            raise error("planted")

    return act


def arm(job: dict) -> list[int]:
    """Plants what is to happen in this child. Returns a count of the writing calls."""
    counted = [0]
    if "calls" in job:  # kills at calls of a function, by name
        for where, nth, after in job["calls"]:
            module, _, name = where.partition(":")
            owner = import_module(f"glue_harness.{module}")
            while "." in name:
                first, _, name = name.partition(".")
                owner = getattr(owner, first)
            patched(owner, name, die_at(nth, job.get("signal", signal.SIGKILL)), after)
    if "raises" in job:  # at a call of a function
        where, nth, kind = job["raises"]
        module, _, name = where.partition(":")
        error = {"error": GlueError, "memory": torch.OutOfMemoryError}[kind]
        patched(import_module(f"glue_harness.{module}"), name, fail_at(nth, error), after=False)
    if "disk" in job or job.get("count"):  # a kill before the n-th call that changes something on disk
        act = die_at(job.get("disk", -1))

        def counting() -> None:
            counted[0] += 1
            act()

        for owner, name in DISK:
            patched(owner, name, counting, after=False)
    if "seconds" in job:
        timer = threading.Timer(job["seconds"], os.kill, (os.getpid(), job.get("signal", signal.SIGKILL)))
        timer.daemon = True
        timer.start()
    return counted


def child(job: dict) -> dict:
    """One run. What it raised is told in one line."""
    began = time.perf_counter()
    os.environ |= {name: str(value) for name, value in job.get("env", {}).items()}
    counted = arm(job)
    plan = plan_from(job["plan"]) if job.get("plan") else None
    options = {key: job[key] for key in ("resume", "force", "checkpoint_every") if key in job}
    fate: dict = {}
    try:
        fate["id"] = run(plan, results=job["results"], **options).id
    except KeyboardInterrupt as error:
        fate["code"] = getattr(error, "exit_code", 130)
    except Exception as error:
        fate["error"] = f"{type(error).__name__}: {error}"
    return {**fate, "writes": counted[0], "seconds": time.perf_counter() - began}


def forked(job: dict) -> dict:
    return ended(*begun(job))


def together(job: dict) -> dict:
    """A run of several processes, which meet as those of torchrun do. What is to happen, happens to one of them."""
    size, hurt = job.pop("processes"), job.pop("hurt", 0)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        place = {"WORLD_SIZE": size, "MASTER_ADDR": "localhost", "MASTER_PORT": free.getsockname()[1]}
    peaceful = {key: value for key, value in job.items() if key not in ("calls", "disk", "seconds", "raises")}
    children = []
    for rank in range(size):
        env = {**place, "RANK": rank, **job.get("env", {})}
        children.append(begun({**(job if rank == hurt else peaceful), "env": env}))
    return {"fates": [ended(*child) for child in children]}


def begun(job: dict) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        random.seed()
        os.write(writing, json.dumps(child(job)).encode())
        os._exit(0)
    os.close(writing)
    return pid, reading


def ended(pid: int, reading: int) -> dict:
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    fate = json.loads(told) if told else {}
    return {**fate, "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    torch.set_num_threads(1)
    warm = Plan(("rte", "stsb"), data=sys.argv[2], model=sys.argv[1], steps=1, batch_size=2, device="cpu")
    run(warm, results=Path(sys.argv[3]))
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(together(job) if "processes" in job else forked(job)), flush=True)


if __name__ == "__main__":
    main()
