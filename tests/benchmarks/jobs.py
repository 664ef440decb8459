"""What many runs cost beside themselves: the overhead of a trial, of a claim, and of a results folder that is full.

python tests/benchmarks/jobs.py trials [--trials 200] [--on local:2]    overhead a trial, in worker processes
python tests/benchmarks/jobs.py claims [--claims 10000] [--processes 8] every trial claimed once by many processes
python tests/benchmarks/jobs.py index [--records 100000]                a launcher's look at a folder of stub records
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

os.environ.setdefault("OMP_NUM_THREADS", "1")

from glue_harness import Plan
from glue_harness.jobs.executors import Workplace
from glue_harness.jobs.graph import Job
from glue_harness.jobs.launch import Doing, Launch, State
from glue_harness.jobs.places import executor_for
from glue_harness.jobs.trials import claim
from glue_harness.runs.folder import Taken
from glue_harness.runs.store import Store

PLAN = Plan(("rte",), data="demo:200", model="tiny", steps=20, batch_size=8, eval_every=20, precision="fp32")


def trials(given: argparse.Namespace, folder: Path) -> None:
    slots = int(given.on.rpartition(":")[2])
    os.environ["GLUE_CACHE"] = str(folder / "cache")
    jobs = [Job(PLAN.replace(seed=seed), name=f"seed {seed}") for seed in range(given.trials)]
    ends: list[float] = []

    def told(doing: Doing) -> None:
        if doing.state is State.FINISHED:
            ends.append(time.perf_counter())

    launch = Launch(Store(folder), executor_for(given.on, Workplace(folder), lambda job: None), told)
    launch.add(jobs)
    start = time.perf_counter()
    launch.carry_out()
    warm = 2 * slots  # the first trials of each worker import torch
    inside = fmean(record.seconds for record in launch.records(jobs[warm:]))
    each = slots * (ends[-1] - ends[warm - 1]) / (len(ends) - warm)
    print(f"{given.trials} trials of {PLAN.steps} steps by {given.on}: {ends[-1] - start:.0f} s")
    print(f"a trial {each:.2f} s of a worker, {inside:.2f} s of it in its run: overhead {each - inside:.3f} s")


def claims(given: argparse.Namespace, folder: Path) -> None:
    """Each process goes through all trials, and keeps those that it gets and that nobody finished."""
    me = [sys.executable, __file__, "claimer", "--claims", str(given.claims), "--folder", str(folder)]
    start = time.perf_counter()
    workers = [subprocess.Popen(me, stdout=subprocess.PIPE, text=True) for _ in range(given.processes)]
    found = [json.loads(worker.communicate()[0]) for worker in workers]
    wall = time.perf_counter() - start
    got = [number for one in found for number in one["got"]]
    assert sorted(got) == list(range(given.claims)), "a trial was done twice, or never"
    each = sum(one["seconds"] for one in found) / (given.processes * given.claims)
    print(f"{given.claims:,} trials claimed by {given.processes} processes in {wall:.1f} s, none twice")
    print(f"{1e6 * each:.0f} microseconds a claim that was tried, in each process")


def claimer(given: argparse.Namespace) -> None:
    store, done = Store(given.folder), Path(given.folder) / "done"
    done.mkdir(exist_ok=True)
    got, began = [], time.perf_counter()
    for number in range(given.claims):
        try:
            with claim(store, ("stub", number)):
                if not (done / str(number)).exists():
                    (done / str(number)).touch()
                    got.append(number)
        except Taken:
            continue
    print(json.dumps({"got": got, "seconds": time.perf_counter() - began}))


def index(given: argparse.Namespace, folder: Path) -> None:
    """Stub records, each as small as a record of one task is."""
    os.environ["GLUE_CACHE"] = str(folder / "cache")
    results, store = folder / "results", Store(folder / "results")
    stub = stub_record()
    for number in range(given.records):
        run = f"20260101-{number // 3600 % 24:02}{number // 60 % 60:02}{number % 60:02}-rte-tiny-s0-{number:08x}"
        (results / run).mkdir(parents=True)
        text = json.dumps({**stub, "id": run, "digest": f"{number:012x}"})
        (results / run / "record.json").write_text(text)
    for what in ("first, all read", "again, by the index"):
        start = time.perf_counter()
        count = len(store.by_age())
        print(f"{count:,} records {what}: {time.perf_counter() - start:.2f} s", flush=True)
    launch = Launch(store, executor_for("local:1", Workplace(results), lambda job: None))
    start = time.perf_counter()
    launch.add([Job(PLAN.replace(seed=seed)) for seed in range(given.records)])
    print(f"a launcher that adds {given.records:,} jobs: {time.perf_counter() - start:.2f} s", flush=True)
    start = time.perf_counter()
    store.finished("0" * 12, 0)
    print(f"a worker that looks for one finished trial: {time.perf_counter() - start:.2f} s", flush=True)


def stub_record() -> dict:
    """A real one, of a run of two steps."""
    from glue_harness import run

    with tempfile.TemporaryDirectory() as folder:
        record = run(PLAN.replace(steps=2, eval_every=2), results=folder)
        return json.loads((Path(folder) / record.id / "record.json").read_text())


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=("trials", "claims", "index", "claimer"))
    asked.add_argument("--trials", type=int, default=200)
    asked.add_argument("--on", default="local:2")
    asked.add_argument("--claims", type=int, default=10_000)
    asked.add_argument("--processes", type=int, default=8)
    asked.add_argument("--records", type=int, default=100_000)
    asked.add_argument("--folder")
    given = asked.parse_args()
    if given.what == "claimer":
        claimer(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        {"trials": trials, "claims": claims, "index": index}[given.what](given, Path(folder))


if __name__ == "__main__":
    main()
