"""Inputs that are in more than one split: a score on rows that were trained on is memory."""

from __future__ import annotations

from collections.abc import Iterator

from glue_harness.doctor.checks import Reading
from glue_harness.doctor.finding import FAIL, OK, Finding

Inputs = dict[str, set[int]]  # split -> hashes of its inputs
NAMED = 3


def allowed(rows: int) -> int:
    """How many may be: the official splits of CoLA share up to 19 with each other, those of STS-B 7."""
    return max(min(20, rows // 50), rows // 1000)


def repeated(reading: Reading, seen: Inputs) -> Iterator[Finding]:
    """Compares a split with all before it, and remembers its inputs for those that follow."""
    shared = {
        split: [number for number, inputs in enumerate(reading.inputs, 1) if inputs & theirs]
        for split, theirs in seen.items()
    }
    seen[reading.split] = {text for inputs in reading.inputs for text in inputs}
    for split, numbers in shared.items():
        if len(numbers) <= allowed(len(reading.inputs)):
            yield Finding(reading.where, "duplicates", OK, f"{len(numbers) or 'none'} also in {split}")
        else:
            text = f"{len(numbers):,} of {len(reading.inputs):,} rows are also in {split}"
            first = ", ".join(map(str, numbers[:NAMED]))
            fix = f"take both splits again from one official download: rows {first} are the first"
            yield Finding(reading.where, "duplicates", FAIL, text, fix)
