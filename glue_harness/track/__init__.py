"""Trackers that are told of a run while it goes by: one file each, with its `PACKAGE` and `begin(told)`.

Offline is the default of all: what leaves the machine does so because the user's own settings of a tracker say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.settings import declared_constant

PROJECT = "glue"


@cache
def packages() -> dict[str, str]:
    """Every tracker, and what must be installed for it."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    return {file.stem: str(declared_constant(file, "PACKAGE")) for file in files}


class Told(NamedTuple):
    """What a tracker is told of a run that begins, or goes on."""

    id: str
    folder: Path  # the run's: what a tracker writes stays in there, or beside it
    settings: Mapping[str, Any]  # of its plan
    tags: tuple[str, ...]
    note: str
    step: int  # that it goes on from


class Tracker(Protocol):
    def log(self, step: int, values: Mapping[str, float]) -> None: ...
    def end(self, status: str) -> None: ...


def check(names: Iterable[str]) -> tuple[str, ...]:
    """Unknown trackers, and those whose package is not there, are refused before anything begins."""
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in packages():
            raise unknown("tracker", name, packages())
        found_there = find_spec(packages()[name])
        if found_there is None or found_there.origin is None:  # a mere folder of that name, such as wandb leaves
            raise UsageError(f"--track {name} needs {packages()[name]}: pip install 'glue-harness[{name}]'")
    return found


def begin(name: str, told: Told) -> Tracker:
    tracker: Tracker = import_module(f"glue_harness.track.{name}").begin(told)
    return tracker
