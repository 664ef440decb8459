"""What a sweep may try: values of settings, or ranges to draw from, each perhaps only beside certain others."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import settings
from glue_harness.core.plan_file import parsed

Setting = dict[str, Any]  # the settings of one trial, by their names
RANGE = {"low", "high", "log"}
MOST_TRIALS = 100_000  # of a grid: more is a slip of the finger


@dataclass(frozen=True)
class Choice:
    """A setting that is varied: over values, or over a range."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False  # the range is of integers
    when: Mapping[str, Any] = field(default_factory=dict)  # settings beside which it counts

    @property
    def ends(self) -> tuple[float, float]:
        """Of the range."""
        return (round(self.low), round(self.high)) if self.whole else (self.low, self.high)

    def draw(self, random: Random) -> Any:
        if self.values:
            return random.choice(self.values)
        if self.log:
            drawn = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = random.uniform(self.low, self.high)
        return round(drawn) if self.whole else float(f"{drawn:.3g}")  # as many digits as anybody reads


@dataclass(frozen=True)
class Space:
    choices: tuple[Choice, ...]

    def grid(self) -> list[Setting]:
        """Every combination, the last setting turning fastest; those that differ by nothing that counts once."""
        if ranges := [choice.name for choice in self.choices if not choice.values]:
            raise UsageError(f"a grid needs values, and {ranges[0]} has a range: --search random, asha or tpe draws")
        size = math.prod(len(choice.values) for choice in self.choices)
        if size > MOST_TRIALS:
            raise UsageError(f"a grid of {size:,} settings is more than {MOST_TRIALS:,}: --search random --trials N")
        names = [choice.name for choice in self.choices]
        found = [
            self.counting(dict(zip(names, values, strict=True)))
            for values in product(*(choice.values for choice in self.choices))
        ]
        return list({tuple(setting.items()): setting for setting in found}.values())

    def draws(self, seed: int) -> Iterator[Setting]:
        """Without end. The n-th is the same however many are asked for."""
        random = Random(f"sweep {seed}")
        while True:
            yield self.counting({choice.name: choice.draw(random) for choice in self.choices})

    def counting(self, setting: Setting) -> Setting:
        """Without what does not count beside the rest."""
        counts: Setting = {}
        for choice in self.choices:
            if all(counts.get(name) == value for name, value in choice.when.items()):
                counts[choice.name] = setting[choice.name]
        return counts


def space_of(over: Sequence[str], file: Path | None) -> Space:
    """Of `--over NAME=VALUE,VALUE` and of a file's table `over`, which --over comes before."""
    choices = {choice.name: choice for choice in (_read(file) if file else [])}
    choices |= {choice.name: choice for choice in map(_written, over)}
    if not choices:
        raise UsageError("nothing to vary: --over lr=1e-5,2e-5, or a file with --space")
    return Space(tuple(choices.values()))


def _written(text: str) -> Choice:
    name, found, values = text.partition("=")
    if not found or not values:
        raise UsageError(f"--over {text!r}: write NAME=VALUE,VALUE, for example lr=1e-5,2e-5")
    return Choice(_known(name, "--over"), tuple(parsed(name, value, "--over") for value in values.split(",")))


def _read(file: Path) -> Iterator[Choice]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--space {str(file)!r} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--space {str(file)!r} is not TOML: {error}") from None
    over = table.get("over")
    if set(table) != {"over"} or not isinstance(over, dict):
        raise UsageError(f"--space {str(file)!r}: it has one table, [over], with a setting a line")
    for name, given in over.items():
        yield _choice(_known(name, f"--space {str(file)!r}"), given, f"--space {str(file)!r}: {name}")


def _choice(name: str, given: Any, where: str) -> Choice:
    if isinstance(given, list):
        given = {"values": given}
    if not isinstance(given, dict):
        raise UsageError(f"{where} is {given!r}: it has a list of values, or a range {{low, high}}")
    when = given.get("when", {})
    left = given.keys() - {"when"}
    if not isinstance(when, dict):
        raise UsageError(f'{where}: when is {when!r}: write when = {{method = "lora"}}')
    if left == {"values"} and isinstance(given["values"], list) and given["values"]:
        return Choice(name, tuple(given["values"]), when=when)
    low, high, log = given.get("low", ""), given.get("high", ""), given.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not left <= RANGE or not numbers or not low < high or not isinstance(log, bool) or (log and not low > 0):
        raise UsageError(f"{where} is {given!r}: it has values, or low below high, and log = true if low is above 0")
    whole = isinstance(low, int) and isinstance(high, int)
    return Choice(name, (), float(low), float(high), log, whole, when)


def _known(name: str, where: str) -> str:
    known = settings()
    if name not in known or not known[name].identity:
        what = "does not change an experiment" if name in known else "is no setting"
        raise UsageError(f"{where}: {name} {what}: glue run --help-settings explains those that do")
    if name in ("tasks", "seed"):
        raise UsageError(f"{where}: {name} is not varied by a sweep: use {'--seeds' if name == 'seed' else '--task'}")
    return name
