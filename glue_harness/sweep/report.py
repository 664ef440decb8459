"""What a sweep learned: the settings in order, what each one does, and what fewer trials would have found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any, NamedTuple

from glue_harness.metrics.expected import expected_best
from glue_harness.report.experiments import worded
from glue_harness.sweep.study import Tried

PARTS = 4  # of a range whose effect is shown: as many values as a table can hold


class Effect(NamedTuple):
    """A setting's value, over all trials that had it."""

    name: str
    value: str
    trials: int
    mean: float
    best: float


def effects(tried: Sequence[Tried]) -> list[Effect]:
    """The mean and the best for each value of each setting; a range is cut where its trials are in equal parts."""
    found = []
    names = dict.fromkeys(name for one in tried for name in one.trial.setting)
    for name in names:
        having = [one for one in tried if name in one.trial.setting]
        by_value: dict[str, list[float]] = defaultdict(list)
        for value, label in labelled(name, [one.trial.setting[name] for one in having]):
            by_value[label] += [one.mean for one in having if one.trial.setting[name] == value]
        found += [Effect(name, label, len(means), fmean(means), max(means)) for label, means in by_value.items()]
    return found


def labelled(name: str, values: Sequence[Any]) -> list[tuple[Any, str]]:
    """Each different value with the label that it is shown under, the smallest first if they can be ordered."""
    different = list(dict.fromkeys(values))
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in different):
        return [(value, shown(name, value)) for value in different]
    ordered = sorted(different)
    if len(ordered) <= 2 * PARTS:
        return [(value, shown(name, value)) for value in ordered]
    ends = [round(part * len(ordered) / PARTS) for part in range(PARTS + 1)]
    pairs = []
    for first, end in pairwise(ends):
        label = f"{ordered[first]:g} to {ordered[end - 1]:g}"
        pairs += [(value, label) for value in ordered[first:end]]
    return pairs


def shown(name: str, value: Any) -> str:
    return worded(name, value).removeprefix(f"{name.replace('_', ' ')} ")


def curve(tried: Sequence[Tried]) -> list[tuple[int, float]]:
    """Number of trials, and the best that is expected of so many: at 1, 2, 4 and so on, and at all."""
    values = [one.mean for one in tried]
    counts = [2**k for k in range(len(values).bit_length()) if 2**k < len(values)]
    return [(n, expected_best(values, n)) for n in [*counts, len(values)]]


def spread(one: Tried) -> float | None:
    """Standard deviation over the seeds."""
    return stdev(one.values.values()) if len(one.values) > 1 else None
