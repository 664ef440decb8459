"""Rows a second that one core turns into examples: `python tests/benchmarks/encode.py [DATA_DIR]`."""

import sys
import time
from statistics import median

from glue_harness import load_tasks
from glue_harness.core.task import Task
from glue_harness.data import load

REPEATS = 5
TASKS = ("mnli", "multirc", "record")


def seconds(task: Task, rows: list) -> float:
    began = time.perf_counter()
    for number, row in enumerate(rows):
        task.examples(row, number)
    return time.perf_counter() - began


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else "demo:5000"
    registry = load_tasks()
    rows = {name: list(load(registry.task(name), "train", where)) for name in TASKS}
    taken: dict[str, list[float]] = {name: [] for name in TASKS}
    for _ in range(REPEATS):  # interleaved, so that a busy moment hits all of them
        for name in TASKS:
            taken[name].append(seconds(registry.task(name), rows[name]))
    for name in TASKS:
        print(f"{name:<8} {len(rows[name]):>7,} rows of {where}: {len(rows[name]) / median(taken[name]):>9,.0f} rows/s")


if __name__ == "__main__":
    main()
