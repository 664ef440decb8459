"""Which run goes on, and whether it would still be the same experiment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.core.names import LATEST
from glue_harness.core.plan import SCORED, Plan, plan_from, settings
from glue_harness.core.record import Record
from glue_harness.runs.store import Store, refuse_scored

# Where the bits come from.
PLACES = ("device", "processes", "precision", "threads", "torch", "transformers", "glue", "commit")


def unfinished(store: Store, name: str) -> Record:
    """The run that a user means; `latest` is the newest unfinished one that no process is at work on.

    A finished run that still has snapshots was killed before it could tidy up: it is let do so.
    """
    if name != LATEST:
        record = store.find(name)
        refuse_scored(record, "there is nothing to resume")
        return record
    for record in reversed(store.summaries()[0]):
        run = store.run(record.id)
        if record.plan.get("method") == SCORED:
            continue
        if (record.status != "finished" or run.snapshots()) and run.is_free():
            return store.find(record.id)
    raise UsageError(f"no unfinished run in {str(store.folder)!r}: there is nothing to resume")


def agreed_plan(record: Record, plan: Plan | None, force: bool) -> tuple[Plan, list[str]]:
    """The plan to go on with, and how it differs from the run's.

    Where it is carried out may differ, what the experiment is may not, unless forced.
    """
    began, known = plan_from(record.plan), settings()
    if plan is None or plan == began:
        return began, []
    changed = differing(began.to_dict(), plan.to_dict())
    if not changed:  # the same epochs, which are not counted yet
        return began, []
    listed = "; ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items())
    if not any(known[key].identity for key in changed if key in known):
        return plan, [f"goes on with {listed}"]
    if record.status == "finished":
        raise UsageError(f"run {record.id} is finished, under another plan: {listed}")
    if not force:
        raise UsageError(f"run {record.id} has another plan: {listed}; leave that out, or --force to mix the two")
    if fixed := [key for key in changed if key in known and known[key].fixed]:
        raise UsageError(f"--force cannot change {', '.join(fixed)} of run {record.id}: its weights are made that way")
    return plan, [f"goes on under a changed plan: {listed}"]


def mixed_digest(record: Record, plan: Plan) -> str:
    """A run under two plans is a repeat of neither; where it is carried out is no part of a plan."""
    if plan.digest == record.digest:
        return record.digest
    return hashlib.sha256(f"{record.digest} {plan.digest}".encode()).hexdigest()[:12]


def changed_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is no longer as it was, split by split."""
    found = []
    for task in sorted(before.keys() | now.keys()):
        for role in sorted(before.get(task, {}).keys() | now.get(task, {}).keys()):
            old, new = before.get(task, {}).get(role), now.get(task, {}).get(role)
            if old is None or new is None:
                found.append(f"{task} {role} {'was not there before' if old is None else 'is gone'}")
            elif old["rows"] != new["rows"]:
                found.append(f"{task} {role} had {old['rows']:,} rows and has {new['rows']:,} ({new['origin']})")
            elif old["fingerprint"] != new["fingerprint"]:
                found.append(f"{task} {role} has other rows, though as many ({new['origin']})")
    return found


def changed_place(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What may move the last bits of a result: the machine and the software."""
    before = {"processes": 1, **before}
    changed = differing({key: before.get(key) for key in PLACES}, {key: now.get(key) for key in PLACES})
    return [f"{key} was {old} and is {new}" for key, (old, new) in changed.items()]


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (before.get(key), value) for key, value in now.items() if before.get(key) != value}
