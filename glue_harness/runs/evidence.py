"""What stands beside a number: intervals, invalid answers, and the software and code that made it."""

from __future__ import annotations

import contextlib
import math
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from glue_harness import __version__
from glue_harness.core.record import Score
from glue_harness.core.task import Prediction, Tally, Task
from glue_harness.metrics import values_of
from glue_harness.metrics.intervals import interval

COMMON = 5  # invalid answers listed in a record


def score(task: Task, predictions: Sequence[Prediction], step: int, tallies: Sequence[Tally]) -> Score:
    """A task's values, as its metrics' tallies give them, with what a reader needs to trust them."""
    invalid = [p.text for p in predictions if p.label is None]
    return Score(
        split=task.splits.get("validation", ""),
        step=step,
        metrics={key: value if math.isfinite(value) else None for key, value in values_of(tallies).items()},
        intervals={},
        n=len(predictions),
        invalid=len(invalid),
        common_invalid=Counter(invalid).most_common(COMMON),
    )


def with_intervals(scored: Score, tallies: Sequence[Tally]) -> Score:
    """The same score with an interval beside every value that is defined."""
    found = {key: bounds for tally in tallies for key, bounds in interval(tally).items()}
    return replace(scored, intervals={key: found[key] for key in found if scored.metrics[key] is not None})


def signatures(tasks: Sequence[Task]) -> dict[str, str]:
    """How metrics were computed, where they have a notation for it (sacrebleu's for BLEU)."""
    used = {metric for task in tasks for metric in task.metrics}
    return {metric.keys[0]: metric.signature() for metric in used if metric.signature}


def environment() -> dict[str, Any]:
    """The software and the state of the code that made a number."""
    found: dict[str, Any] = {"glue": __version__, "python": platform.python_version()}
    found["platform"] = f"{platform.system()} {platform.machine()}"
    for package in ("torch", "transformers", "datasets", "numpy", "sentencepiece"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return {**found, **_commit(), "command": [Path(sys.argv[0]).name, *sys.argv[1:]]}


def _commit() -> dict[str, Any]:
    """The commit of a checkout and whether it was changed since; nothing in an installed package."""
    here = Path(__file__).resolve().parents[2]
    if (here / ".git").exists():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            commit, changes = (
                subprocess.run(
                    ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=5, check=True
                ).stdout.strip()
                for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
            )
            return {"commit": commit, "dirty": bool(changes)}
    return {"commit": None, "dirty": None}
