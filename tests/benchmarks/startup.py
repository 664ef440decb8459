"""Seconds from a command to its answer, median of several: `python tests/benchmarks/startup.py`."""

import subprocess
import sys
import time
from statistics import median

REPEATS = 7
COMMANDS = (["--help"], ["tasks"], ["run", "--task", "mnlii"], ["board"], ["show", "mnli"])


def seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "glue_harness", *arguments], capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    taken: dict[str, list[float]] = {" ".join(arguments): [] for arguments in COMMANDS}
    for _ in range(1 + REPEATS):
        for arguments in COMMANDS:
            taken[" ".join(arguments)].append(seconds(arguments))
    for command, found in taken.items():
        print(f"glue {command:<18} {median(found[1:]):.2f} s")


if __name__ == "__main__":
    main()
