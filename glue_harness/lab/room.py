"""Whether a plan fits into memory, by counting, before anything large is built: the system kills what does not."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from glue_harness.core.errors import UsageError
from glue_harness.core.place import place
from glue_harness.core.plan import Plan
from glue_harness.core.settings import own_settings
from glue_harness.models.families import millions_of

FLOAT = 4  # bytes
PAIR = 32  # bytes at least that attention makes of two tokens of a row: a score in each of eight heads
FLOATS = {"adamw": 4, "adafactor": 2}  # per trained parameter: weight, gradient, moments
REPEATS = 100  # of an example in one update; T5's own 65,536 tokens hold those of COPA, its smallest task, 4 times
UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"))


def state_bytes(optimizer: str, total: int, trainable: int) -> int:
    """Weights, and gradients and moments of what learns."""
    return FLOAT * (total + (FLOATS.get(optimizer, max(FLOATS.values())) - 1) * trainable)


def check_model(plan: Plan, source: str) -> None:
    """Its weights, as far as its size is known without loading it."""
    millions = millions_of(source)
    refuse_what_cannot_fit(f"model {plan.model!r}", FLOAT * 1e6 * (millions or 0), "use a smaller --model")


def check_method(plan: Plan, total: int, added: int, tokens: int, token_bytes: int, attends: bool) -> None:
    """What a method adds to a model of `total` parameters: numbers that learn, and tokens before each input."""
    learning = state_bytes(plan.optimizer, 0, added) + FLOAT * added
    row = tokens * token_bytes + (PAIR * tokens**2 if attends else 0)
    sizes = {name: found.owner for name, found in own_settings().items() if found.kind is int}
    own = [f"{name} {getattr(plan, name):,}" for name, owner in sizes.items() if owner == ("method", plan.method)]
    what = f"method {plan.method}" + (f" with {', '.join(own)}" if own else "")
    refuse_what_cannot_fit(what, FLOAT * total + learning + row, "use a smaller one")


def check_update(plan: Plan, examples: int, tokens: int) -> None:
    """An update of tokens may be larger than the data, but not without end."""
    if plan.batch_tokens and plan.batch_tokens > REPEATS * tokens:
        raise UsageError(
            f"batch_tokens {plan.batch_tokens:,} is far larger than the data: {examples:,} examples of {tokens:,} "
            f"tokens, of which an update may hold each {REPEATS} times at most: use --batch-tokens"
        )


def refuse_what_cannot_fit(what: str, needed: float, fix: str, free: float | None = None) -> None:
    free = free_bytes() / place().beside if free is None else free  # other processes of the run need as much
    if needed > free:
        raise UsageError(f"{what} needs about {size(needed)} of memory, {size(free)} are free: {fix}")


def size(count: float) -> str:
    divisor, unit = next((pair for pair in UNITS if count >= pair[0]), UNITS[-1])
    return f"{count / divisor:,.1f} {unit}"


def free_bytes() -> float:
    """What this process can still have: of the system, and of the group of processes that it may be confined to."""
    found = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, AttributeError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found += [1024 * int(kib) for kib in re.findall(r"MemAvailable:\s+(\d+)", text)]
    with contextlib.suppress(OSError, ValueError):  # ValueError: `max`, no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        cached = re.search(r"^inactive_file (\d+)", (group / "memory.stat").read_text(), re.M)
        found.append(limit + (int(cached[1]) if cached else 0))
    return min(found, default=float("inf"))
