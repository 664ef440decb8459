"""How often each task is seen. A mixing is one function: sizes -> rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from glue_harness.core.errors import UsageError, unknown

Sizes = Mapping[str, float]  # task -> number of training examples
Rates = dict[str, float]  # task -> how often it is drawn, relative to the others; 0 = only scored


@dataclass(frozen=True)
class SizeRate:
    """T5's rate of a task with n examples: scaled, then capped at `limit`, then tempered."""

    limit: float | None = None  # K; None or 0: no cap
    temperature: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.limit is not None and not 0 <= self.limit < math.inf:
            raise UsageError(f"limit must be above 0 (or 0 for no limit), not {self.limit}")
        for name in ("temperature", "scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")

    def __call__(self, n: float) -> float:
        capped = min(n * self.scale, self.limit or math.inf)
        try:
            return float(capped) ** (1 / self.temperature)
        except OverflowError:
            raise UsageError(f"temperature {self.temperature} is too small for {n} examples: raise it") from None


def proportional(sizes: Sizes, size_rate: SizeRate, custom: Rates) -> Rates:
    """In proportion to what `size_rate` makes of the number of examples."""
    return {task: size_rate(n) for task, n in sizes.items()}


def equal(sizes: Sizes, size_rate: SizeRate, custom: Rates) -> Rates:
    """Every task as often as any other."""
    return dict.fromkeys(sizes, 1.0)


def as_given(sizes: Sizes, size_rate: SizeRate, custom: Rates) -> Rates:
    """The user's own rates, one for every task."""
    for task in custom:
        if task not in sizes:
            raise unknown("task in rates", task, sizes)
    for task in sizes:
        if task not in custom:
            raise UsageError(f"no rate for task {task!r}: add --rate {task}=1, or {task}=0 to score it only")
    return {task: float(custom[task]) for task in sizes}


MIXINGS: dict[str, Callable[[Sizes, SizeRate, Rates], Rates]] = {
    "proportional": proportional,
    "temperature": proportional,  # the same formula, which T above 1 flattens
    "equal": equal,
    "custom": as_given,
}


def rates(
    mixing: str,
    sizes: Sizes,
    limit: float | None = None,
    temperature: float = 1.0,
    scale: float = 1.0,
    custom: Mapping[str, float] | None = None,
) -> Rates:
    """The rate of every task under a mixing."""
    if mixing not in MIXINGS:
        raise unknown("mixing", mixing, MIXINGS)
    return MIXINGS[mixing](sizes, SizeRate(limit, temperature, scale), dict(custom or {}))


def probabilities(rates: Mapping[str, float]) -> Rates:
    """Rates that sum to 1."""
    for task, rate in rates.items():
        if not 0 <= rate < math.inf:
            raise UsageError(f"the rate of task {task!r} must be 0 or above, not {rate}")
    total = sum(rates.values())
    if not 0 < total < math.inf:
        raise UsageError(f"the rates sum to {total:g}: at least one task must be trained on")
    return {task: rate / total for task, rate in rates.items()}


class Share(NamedTuple):
    """One task's part of a run."""

    rows: float | None  # None: not known, and not needed for its rate
    rate: float
    probability: float
    examples: float  # expected
    epochs: float | None


class Realised(NamedTuple):
    """What a run saw of one task, beside what its mixing promised."""

    planned: float  # share of all examples
    share: float
    examples: int
    epochs: float | None


def realised(mix: Mapping[str, Mapping[str, Any]]) -> dict[str, Realised]:
    """From a record's mix: shares, and examples seen of each task."""
    seen = {task: int(facts.get("seen") or 0) for task, facts in mix.items()}
    total = sum(seen.values())
    return {
        task: Realised(
            planned=facts.get("probability") or 0.0,
            share=seen[task] / total if total else 0.0,
            examples=seen[task],
            epochs=seen[task] / facts["rows"] if facts.get("rows") else None,
        )
        for task, facts in mix.items()
    }


def shares(sizes: Mapping[str, float | None], rates: Mapping[str, float], examples: int) -> dict[str, Share]:
    """What a run of so many examples is expected to see of each task."""
    return {
        task: Share(
            rows=sizes.get(task),
            rate=rates[task],
            probability=probability,
            examples=probability * examples,
            epochs=probability * examples / sizes[task] if sizes.get(task) else None,
        )
        for task, probability in probabilities(rates).items()
    }
