"""Whether data and machine can be trusted, found out before an hour is spent on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from glue_harness.doctor.finding import FAIL, OK, WARN, Finding
from glue_harness.doctor.machine import examine_machine
from glue_harness.doctor.splits import DataSet, data_sets, examine_data_set
from glue_harness.suite.registry import Registry

__all__ = ["FAIL", "OK", "WARN", "DataSet", "Finding", "choose", "examine", "examine_machine"]


def choose(registry: Registry, names: Iterable[str], data: str) -> tuple[list[DataSet], list[DataSet]]:
    """The data sets to look at, and those left out for want of data: whatever is named is looked at."""
    every = data_sets(registry.tasks.values())
    if wanted := {task.name for task in registry.select(names)}:
        return [one for one in every if wanted & {task.name for task in one.tasks}], []
    here = [one for one in every if one.is_here(data)]
    return here, [one for one in every if one not in here]


def examine(sets: Iterable[DataSet], data: str, registry: Registry) -> Iterator[Finding]:
    """All findings about the rows of some data sets."""
    sets = list(sets)
    if not sets:
        yield Finding(
            "data",
            "presence",
            WARN if data == "hub" else FAIL,
            f"no task has data in {data!r}",
            "name a folder with --data, or let glue run download what it needs",
        )
    for one in sets:
        yield from examine_data_set(one, data, registry.tasks.values())
