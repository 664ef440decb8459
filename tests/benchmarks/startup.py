"""Seconds from a command to its answer, and to a demo's first training step; medians of several.

`python tests/benchmarks/startup.py`
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

REPEATS = 7
COMMANDS = (["--help"], ["tasks"], ["run", "--task", "mnlii"], ["board"], ["show", "mnli"])
DEMOS = (["run", "--task", "mnli", "--demo"], ["run", "--task", "glue", "--demo"])
POLL = 0.01  # seconds


def seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "glue_harness", *arguments], capture_output=True)
    return time.perf_counter() - began


def seconds_to_training(arguments: list[str]) -> float:
    """Until the log has its first line, which is that of the first step; the run ends there."""
    with TemporaryDirectory() as results:
        command = [sys.executable, "-m", "glue_harness", *arguments, "--results", results]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while not any(file.stat().st_size for file in Path(results).glob("*/train.jsonl")):
                if process.poll() is not None:
                    raise SystemExit(f"{' '.join(arguments)} ended before its first step")
                time.sleep(POLL)
            taken = time.perf_counter() - began
            process.terminate()
        return taken


def main() -> None:
    timed = [(arguments, seconds) for arguments in COMMANDS]
    timed += [(arguments, seconds_to_training) for arguments in DEMOS]
    taken: list[list[float]] = [[] for _ in timed]
    for _ in range(1 + REPEATS):
        for (arguments, clock), found in zip(timed, taken, strict=True):
            found.append(clock(arguments))
    for (arguments, clock), found in zip(timed, taken, strict=True):
        until = ", first training step" if clock is seconds_to_training else ""
        print(f"glue {' '.join(arguments) + until:<45} {median(found[1:]):.2f} s")


if __name__ == "__main__":
    main()
