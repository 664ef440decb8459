"""How much of an update goes through the model at once: guessed from free memory, tried out, corrected by failures."""

from __future__ import annotations

import contextlib
import ctypes
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from glue_harness.core import cache
from glue_harness.core.errors import GlueError
from glue_harness.core.writing import write_atomic
from glue_harness.models.interface import Model
from glue_harness.train.device import Machine

if TYPE_CHECKING:
    from glue_harness.train.feed import Update

SHARE = 0.6  # of a GPU's free memory, which activations may take
ON_CPU = 4 * 2**30  # bytes; not what happens to be free, because the same plan shall make the same sums
LEAST = 2048  # tokens of a pass that a guess does not go below
TRIM_FROM, MAPPED_FROM, MOST_MAPPED = -1, -3, -4  # glibc's numbers for what `mallopt` sets
KEEPING = {MOST_MAPPED: 0, TRIM_FROM: 2**31 - 1}
USUAL = {MOST_MAPPED: 65_536, MAPPED_FROM: 2**25, TRIM_FROM: 2**26}  # what glibc comes to by itself in such processes


@dataclass
class Fit:
    """Padded input tokens of a pass, and whether activations are computed twice rather than kept."""

    most: int | None = None
    lean: bool = False
    notes: list[str] = field(default_factory=list)
    key: str | None = None  # under which what was learned is remembered
    tried: bool = False  # on this device, by this run or an earlier one

    def shrink(self, update: Update) -> None:
        """Half of the largest pass; then, when that is a single row already, nothing kept inside a block."""
        largest = max((piece for part in update.passes for piece in part.cut(self.most)), key=lambda p: p.padded)
        if largest.padded > largest.width:
            self.most = largest.padded // 2
            self.notes.append(
                f"out of memory: passes of at most {self.most:,} tokens from here on, the update is the same"
            )
        elif not self.lean:
            self.lean = True
            self.notes.append("out of memory with a single row: activations are computed again instead of kept")
        else:
            raise GlueError("a single row does not fit into memory: use a smaller --model or --set max_input")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.remember()

    def remember(self) -> None:
        """For the next run of this model on this device. It only saves time: a cache that cannot be written is none."""
        if self.key:
            with contextlib.suppress(OSError):
                cache.folder().mkdir(parents=True, exist_ok=True)
                write_atomic(remembered(self.key), json.dumps({"most": self.most, "lean": self.lean}))


def find_fit(model: Model, machine: Machine, learning: int) -> Fit:
    """What was remembered of this model, shape and device, or a guess."""
    facts = {
        "token": model.token_bytes,
        "learning": learning,
        "max_input": model.lengths[0] + model.prompt_length,
        **machine.describe(),
    }
    key = cache.key_of({**facts, "memory": memory_of(machine), "torch": torch.__version__})
    try:
        known = json.loads(remembered(key).read_text(encoding="utf-8"))
        most = int(known["most"])
        fit = Fit(most, bool(known["lean"]), key=key, tried=True)
    except (OSError, ValueError, KeyError, TypeError):
        return Fit(first_guess(model, machine), key=key)
    if fit.lean or 2 * most <= first_guess(model, machine):
        file = remembered(key).name
        fit.notes.append(f"passes of at most {most:,} tokens, as an earlier run needed ({file} in the cache)")
    return fit


def first_guess(model: Model, machine: Machine) -> int:
    """The most tokens of a pass, by counting what a token leaves behind in the layers."""
    room = SHARE * torch.cuda.mem_get_info(machine.device)[0] if machine.on_gpu else ON_CPU
    return max(LEAST, int(room / model.token_bytes))


def memory_of(machine: Machine) -> int:
    return torch.cuda.get_device_properties(machine.device).total_memory if machine.on_gpu else ON_CPU


def remembered(key: str) -> Path:
    return cache.folder() / f"fit-{key}.json"


@contextlib.contextmanager
def kept_when_freed() -> Iterator[None]:
    """Inside, what is freed stays with the process, for the next that asks.

    glibc gives large blocks (an embedding's gradient, weights in bf16) back to the system at once, and gets them again
    page by page, each filled with zeros: on a CPU an eighth of the time of an update of short sentences.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None

    def follow(rules: dict[int, int]) -> None:
        for rule, value in rules.items() if mallopt else ():
            mallopt(rule, value)  # type: ignore[misc]  # it is there

    follow(KEEPING)
    try:
        yield
    finally:
        follow(USUAL)


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a kind of its own; a CPU's allocator says it in words."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
