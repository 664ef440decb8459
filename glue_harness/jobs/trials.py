"""A trial is a plan with a seed. It is carried out once, by whoever claims it first, however many would like to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.jobs.graph import Job, Key
from glue_harness.lab.attempt import Watcher
from glue_harness.lab.run import run
from glue_harness.runs.folder import Taken
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

CLAIMS = ".trials"  # in the folder of results


@contextlib.contextmanager
def claim(store: Store, key: Key) -> Iterator[Path]:
    """Holds a trial against every process that shares the results folder; the claim ends with the process.

    Gives the file's path. A record lock, as of a run's folder: it holds on network file systems, too.
    """
    path = store.folder / CLAIMS / f"{key[0]}-{key[1]}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise Taken(f"plan {key[0]} with seed {key[1]} is being carried out by another process") from None
        yield path


def carry_out(
    job: Job,
    store: Store,
    registry: Registry,
    watcher: Watcher | None = None,
    **how: Any,
) -> Record:
    """The trial's finished run: what is there, what was begun and goes on, or a new one. `how` is a workplace's."""
    with claim(store, job.key) as path:
        runs = store.of_plan(*job.key)
        record = next((found for found in reversed(runs) if found.status == "finished"), None)
        unfinished = newest_free(runs, store)
        if record is None and unfinished and job.until and reached(unfinished, store) >= job.until:
            return store.find(unfinished)
        if record is None:
            record = run(
                job.plan,
                results=store.folder,
                registry=registry,
                watcher=watcher,
                resume=unfinished,
                stage=job.stage,
                notes=job.notes,
                until=job.until,
                **how,
            )
        if record.status == "finished":
            path.unlink(missing_ok=True)  # whoever waits for this very file finds that
    return record


def reached(run_id: str, store: Store) -> int:
    """The newest step that a run can go on from."""
    snapshots = store.run(run_id).snapshots()
    return snapshots[0][0] if snapshots else 0


def begun(plan: Plan, store: Store) -> str | None:
    """The newest unfinished run of a plan and its seed that no process is at work on."""
    return newest_free(store.of_plan(plan.digest, plan.seed), store)


def newest_free(runs: Sequence[Record], store: Store) -> str | None:
    unfinished = (record.id for record in reversed(runs) if record.status != "finished")
    return next((run for run in unfinished if store.run(run).is_free()), None)
