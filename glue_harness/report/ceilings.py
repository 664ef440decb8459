"""What no honest score can pass: known where some of the labels that score it are wrong by design, as in a demo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from glue_harness.core.record import Record


class Value(Protocol):
    """One value of a task, as boards and comparisons have them."""

    @property
    def name(self) -> str: ...  # task.key

    @property
    def label(self) -> str: ...


def ceilings_of(records: Iterable[Record], name: str) -> list[float]:
    """Those that records state for a value: one, unless they were scored on different data."""
    task, _, key = name.rpartition(".")
    scores = (record.scores[task] for record in records if task in record.scores)
    return sorted({value for score in scores if (value := score.ceiling.get(key)) is not None})


def ceiling_line(records: Sequence[Record], values: Iterable[Value]) -> tuple[str, ...]:
    """For the foot of a table; none where no ceiling is known."""
    found = {}
    for value in values:
        if known := ceilings_of(records, value.name):
            found[value.label] = " to ".join(dict.fromkeys(f"{end:.2f}" for end in (known[0], known[-1])))
    listed = ", ".join(f"{label} {ceiling}" for label, ceiling in found.items())
    return (f"ceiling, where every answer is right but some labels are wrong: {listed}",) if found else ()
