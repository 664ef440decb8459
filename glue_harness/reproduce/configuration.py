"""A row of a table that is made again: what its runs are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glue_harness.lab.recipes import Applied
from glue_harness.lab.strategy import Stage


@dataclass(frozen=True)
class Configuration:
    """A published configuration and the runs that make it."""

    name: str
    stages: tuple[Stage, ...]
    settings: str  # what differs from the others, as it was run
    recipe: Applied | None = None  # that its records name, where rows have one each


def last(place: str) -> str:
    """A folder by its own name: what is above it belongs to the machine."""
    return Path(place).resolve().name if Path(place).is_dir() else place


def noise_of(seeds: int) -> str:
    """What the interval of our values is over."""
    if seeds > 1:
        return f"both {seeds} seeds and the evaluation examples in it"
    return "the evaluation examples in it, not the luck of its one seed"
