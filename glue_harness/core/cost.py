"""What a run's model costs, as `glue cost` measured it: kept beside the record, which says what it scores."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from glue_harness.core.errors import DataError
from glue_harness.core.record import of_its_types

SCHEMA = 1


@dataclass(frozen=True)
class Cost:
    run: str
    task: str  # whose rows were answered
    bytes: int  # of the weights on disk, those of a base that is needed with them too
    parameters: int
    nonzero: int  # parameters that are not zero
    milliseconds: float  # of one example that is answered alone: the median over rounds
    examples_per_second: float  # in batches as they are usual: the median over rounds
    rounds: dict[str, list[float]]  # the same two, of each round
    examples: int  # answered in batches
    singles: int  # of these, answered alone
    beside: list[str]  # the runs that took turns with it
    precision: str
    machine: dict[str, Any]  # device, processor, threads, torch
    measured: str  # ISO 8601, UTC
    schema: int = SCHEMA

    @property
    def place(self) -> str:
        """The machine in words: times of different ones are not compared."""
        facts = self.machine
        parts = [facts.get("processor") or facts.get("device") or "an unnamed machine"]
        if facts.get("device") == "CPU":
            parts.append(f"{facts.get('threads')} thread{'' if facts.get('threads') == 1 else 's'}")
        return ", ".join([*parts, f"torch {facts.get('torch')}"])


def cost_from(values: Any) -> Cost:
    """From JSON; what is none is refused with the reason."""
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise DataError("it is not what glue cost writes")
    try:
        known = {one.name for one in dataclasses.fields(Cost)}
        return of_its_types(Cost(**{key: value for key, value in values.items() if key in known}))
    except TypeError as error:
        raise DataError(f"it is not complete: {error}") from None
