"""In which order settings are tried: all of a grid, drawn ones, drawn ones of which the worse half stops early (ASHA,
Li et al., 2020), or those that a model of what was seen expects to be good (TPE, by Optuna).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from glue_harness.core.errors import UsageError
from glue_harness.sweep.space import Choice, Setting, Space

SEARCHES = ("grid", "random", "asha", "tpe")
REDUCTION = 3  # one of so many trials goes on from a rung of ASHA
LEAST_RUNG = 1 / 27  # of the steps, where the first rung may stand


@dataclass(frozen=True)
class Trial:
    """A setting, and how far it is to be trained; None: to the end."""

    number: int
    setting: Setting
    until: int | None = None


class Search(Protocol):
    def begin(self, slots: int) -> Iterable[Trial]:
        """What can be tried at once."""

    def after(self, trial: Trial, value: float) -> Iterable[Trial]:
        """What is tried next, now that a trial has come to where it was to come. The higher the value the better."""


class Listed:
    """All that are known beforehand."""

    def __init__(self, found: Iterable[Setting]) -> None:
        self.trials = [Trial(number, setting) for number, setting in enumerate(found)]

    def begin(self, slots: int) -> list[Trial]:
        return self.trials

    def after(self, trial: Trial, value: float) -> list[Trial]:
        return []


class Halving:
    """ASHA: of those that came to a rung, the best third so far goes on to the next, without waiting for the rest."""

    def __init__(self, found: Sequence[Setting], rungs: Sequence[int]) -> None:
        many = int(math.log(max(1, len(found)), REDUCTION) + 1e-9)  # with more rungs nobody would come to the end
        self.rungs = rungs = rungs[len(rungs) - min(len(rungs), many) :]  # the end is none of them
        self.trials = [Trial(number, setting, rungs[0] if rungs else None) for number, setting in enumerate(found)]
        self.values: dict[int, dict[int, float]] = {rung: {} for rung in rungs}  # rung -> trial -> value
        self.promoted: dict[int, set[int]] = {rung: set() for rung in rungs}

    def begin(self, slots: int) -> list[Trial]:
        return self.trials

    def after(self, trial: Trial, value: float) -> Iterator[Trial]:
        if trial.until is None:
            return
        rung, at = trial.until, self.values[trial.until]
        at[trial.number] = value
        ranked = sorted(at, key=lambda number: (-at[number], number))
        above = self.rungs[self.rungs.index(rung) + 1 :]
        for number in ranked[: len(at) // REDUCTION]:
            if number not in self.promoted[rung]:
                self.promoted[rung].add(number)
                yield Trial(number, self.trials[number].setting, above[0] if above else None)


class Modelled:
    """TPE. What it asks for depends on what it was told before, so more at once is a little less informed."""

    def __init__(self, space: Space, count: int, seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise UsageError("--search tpe needs Optuna: pip install 'glue-harness[search]'") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.left, self.asked = space, count, 0
        self.study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        self.open: dict[int, Any] = {}

    def begin(self, slots: int) -> list[Trial]:
        return [self._next() for _ in range(min(slots, self.left))]

    def after(self, trial: Trial, value: float) -> list[Trial]:
        self.study.tell(self.open.pop(trial.number), value)
        return [self._next()] if self.left else []

    def _next(self) -> Trial:
        number, asked = self.asked, self.study.ask()
        self.left, self.asked, self.open[number] = self.left - 1, number + 1, asked
        setting: Setting = {}
        for choice in self.space.choices:
            if all(setting.get(name) == value for name, value in choice.when.items()):
                setting[choice.name] = suggested(asked, choice)
        return Trial(number, setting)


def suggested(asked: Any, choice: Choice) -> Any:
    if choice.values:
        return choice.values[asked.suggest_categorical(choice.name, list(range(len(choice.values))))]
    if choice.whole:
        return asked.suggest_int(choice.name, int(choice.low), int(choice.high), log=choice.log)
    return float(f"{asked.suggest_float(choice.name, choice.low, choice.high, log=choice.log):.3g}")


def search_of(name: str, space: Space, count: int | None, seed: int, steps: int, every: int, first: int = 0) -> Search:
    """`steps`, the distance of evaluations `every`, and the `first` that there can be say where ASHA's rungs stand."""
    if name not in SEARCHES:
        raise UsageError(f"unknown search {name!r}: known: {', '.join(SEARCHES)}")
    if name == "grid":
        if count is not None:
            raise UsageError("--trials is for --search random, asha or tpe: a grid has as many as it has")
        return Listed(space.grid())
    if count is None:
        raise UsageError(f"--search {name} needs --trials N")
    if name == "tpe":
        return Modelled(space, count, seed)
    drawn = different(space, count, seed)
    return Listed(drawn) if name == "random" else Halving(drawn, rungs_of(steps, every, first))


def different(space: Space, count: int, seed: int) -> list[Setting]:
    """So many drawn settings, none twice; fewer if there are not so many."""
    found: dict[tuple[Any, ...], Setting] = {}
    for setting in islice(space.draws(seed), 20 * count):
        found.setdefault(tuple(setting.items()), setting)
        if len(found) == count:
            break
    return list(found.values())


def rungs_of(steps: int, every: int, first: int = 0) -> list[int]:
    """Each a third of the one above, at steps that are scored anyway."""
    rungs: list[int] = []
    part = steps / REDUCTION
    while part >= max(every, round(steps * LEAST_RUNG)):
        rung = max(1, round(part / every)) * every
        if rung < (rungs[0] if rungs else steps):
            rungs.insert(0, rung)
        part /= REDUCTION
    if not rungs:
        raise UsageError(
            f"--search asha has no rung: {steps:,} steps are scored every {every:,}; it needs --eval-every of at most "
            f"{max(1, steps // REDUCTION):,}"
        )
    if rungs[0] < first:
        raise UsageError(
            f"--search asha looks at runs after {rungs[0]:,} of {steps:,} steps, but this method is scored from step "
            f"{first:,} on: use --search random or tpe"
        )
    return rungs
