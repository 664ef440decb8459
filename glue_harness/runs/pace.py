"""How fast a run of several processes trained, beside what one process did under the same plan."""

from __future__ import annotations

from typing import Any

from glue_harness.core.record import Record
from glue_harness.runs.store import Store


def pace(record: Record) -> float | None:
    """Examples a second, of training alone."""
    seconds = record.timing.get("train")
    seen = sum(mix.get("seen") or 0 for mix in record.mix.values())
    return seen / seconds if seconds and seen else None


def scaling(record: Record, store: Store) -> str | None:
    """What several processes gained; None for one, or where nothing was trained."""
    count, fast = record.environment.get("processes", 1), pace(record)
    if count == 1 or fast is None:
        return None
    told = f"{count} processes{threads(record)}: {fast:,.0f} examples/s, {fast / count:,.0f} each"
    if (waiting := record.environment.get("waiting")) is not None:
        told += f"; {waiting:.0%} of training was exchange and waiting"
    if (other := alone(record, store)) and (one := pace(other)):
        efficiency = f"{fast / count / one:.0%} efficiency"
        return f"{told}\none process{threads(other)} had {one:,.0f} in {other.id}: {efficiency}"
    return f"{told}; no run of this plan on one process to compare with"


def alone(record: Record, store: Store) -> Record | None:
    """The newest finished run of the same plan, with whatever seed, that one process carried out on such a device."""
    for entry in reversed(store.by_age()):
        if entry.digest == record.digest and entry.id != record.id:
            other = store.find(entry.id)
            is_alike = device_of(other) == device_of(record) and other.environment.get("processes", 1) == 1
            if other.status == "finished" and is_alike:
                return other
    return None


def threads(record: Record) -> str:
    """On a CPU a process may be worth several."""
    facts: dict[str, Any] = {**record.environment}
    count = facts.get("threads")
    return f" of {count} thread{'s' if count != 1 else ''}" if facts.get("device") == "CPU" else ""


def device_of(record: Record) -> Any:
    facts: dict[str, Any] = {**record.environment}
    return facts.get("device")
