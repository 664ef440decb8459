"""Many runs in one folder, and many in one process: `python tests/benchmarks/soak.py [RECORDS] [RUNS]`.

Prints how long board, compare and tasks take with so many records (500), and how memory grows over so many
consecutive runs of a tiny model in this process (200).
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import median

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

from records import GLUE, finished  # noqa: E402

from glue_harness.runs.store import Store  # noqa: E402

LIMIT = 2.0  # seconds
REPEATS = 5


def many_records(store: Store, n: int) -> None:
    """Runs of as many plans, each a row of the board, with the history that ten evaluations leave."""
    random = Random(0)
    for k in range(n):
        record = finished(store, shift=random.uniform(-9, 9), steps=1000 + k)
        record.history = {task: [(step, values) for step in range(100, 1001, 100)] for task, values in GLUE.items()}
        store.save(record)


def seconds_of(arguments: list[str]) -> tuple[float, float]:
    """The median wall time of a command, and the mean of what it took of a processor."""
    command = [sys.executable, "-m", "glue_harness", *arguments]
    times, before = [], cpu_of_children()
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parent.parent.parent)
        times.append(time.perf_counter() - began)
    return median(times), (cpu_of_children() - before) / REPEATS


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def commands(folder: str, n: int) -> None:
    store = Store(Path(folder) / "results")
    many_records(store, n)
    first, *_, last = [record.id for record in store.load_all()[0]]
    where = ["--results", str(store.folder)]
    for arguments in (
        ["board", *where, "--out", folder],
        ["compare", first, last, *where],
        ["compare", "latest", first[-8:], *where],
        ["tasks"],
    ):
        took, cpu = seconds_of(arguments)
        remark = "" if took < LIMIT else "  TOO SLOW"
        print(f"{took:6.2f} s ({cpu:.2f} s of a processor)  glue {arguments[0]}, {n} records{remark}")


def memory() -> float:
    """MiB of this process, as the system counts it."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def consecutive_runs(folder: str, n: int) -> None:
    from glue_harness import Plan, run

    plan = Plan(("rte",), data="demo:50", model="tiny", steps=2, eval_every=2, batch_size=4, eval_limit=8, device="cpu")
    sizes = []
    for k in range(n):
        run(plan.replace(seed=k), results=folder)
        sizes.append(memory())
        if (k + 1) % max(1, n // 10) == 0:
            print(f"{sizes[-1]:6.0f} MiB after {k + 1} runs", flush=True)
    half = sizes[n // 2 :]
    print(f"{half[-1] - half[0]:+.1f} MiB over the last {len(half)} runs")


def main(records: str = "500", runs: str = "200") -> None:
    with tempfile.TemporaryDirectory() as folder:
        commands(folder, int(records))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GLUE_CACHE"] = folder
        consecutive_runs(folder, int(runs))


if __name__ == "__main__":
    main(*sys.argv[1:])
