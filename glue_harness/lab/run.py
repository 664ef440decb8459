"""Plan -> Record: begins a run or goes on with one, and says how it ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from glue_harness.core.errors import Paused, Stopped, UsageError
from glue_harness.core.place import place
from glue_harness.core.plan import Plan
from glue_harness.core.plugins import own_failure
from glue_harness.core.record import Record
from glue_harness.lab.assemble import settle
from glue_harness.lab.attempt import Attempt, Watcher
from glue_harness.lab.request import Request, make_request
from glue_harness.lab.signals import Stop, listening
from glue_harness.runs.care import NO_MARKS, Marks
from glue_harness.runs.onlooker import Onlooker
from glue_harness.runs.resume import agreed_plan, mixed_digest, unfinished
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry, load_tasks
from glue_harness.track import check as check_trackers
from glue_harness.train.ranks import Lost, join


def run(
    plan: Plan | Request | None,
    *,
    results: str | os.PathLike[str] = "results",
    registry: Registry | None = None,
    watcher: Watcher | None = None,
    checkpoint_every: int | None = None,
    resume: str | None = None,
    force: bool = False,
    stage: str = "",
    notes: Sequence[str] = (),
    until: int | None = None,
    marks: Marks = NO_MARKS,
    track: Sequence[str] = (),
) -> Record:
    """Carries a plan out. The record on disk is true at every moment, however the run ends.

    `stage` is its part in a strategy, `notes` are what the record says beside what is found out here, `marks` what the
    user says of the run. `track` names trackers that are told of it while it goes by.
    After step `until` it pauses: it is scored and saved so far, and goes on when it is resumed.
    `resume` is the run to go on with, or `latest` for the newest unfinished one; its plan is the default then.
    A finished run is given back as it is. `force` goes on under a changed plan or data, and records that.
    """
    track = check_trackers(track)
    ranks, store = join(), Store(results)
    request = settle(make_request(plan, registry or load_tasks(), store)) if isinstance(plan, Plan) else plan
    if resume is None and request is None:
        raise UsageError("neither a plan nor a run to resume")

    def chosen() -> tuple[Record, bool]:
        name = resume if resume is not None or not request else interrupted_by_restart(request.plan, store)
        if name is not None:
            return unfinished(store, name), True
        assert request, "without a run to resume there is a plan"
        return begun(request, store, stage, [*notes, *request.notes], marks), False

    record, resumes = ranks.first(chosen)
    folder = store.run(record.id) if ranks.leads else Onlooker(store.run_folder(record.id))
    watcher = watcher if ranks.leads else None
    if track and ranks.leads:
        from glue_harness.lab.tracking import Tracking

        watcher = Tracking(track, watcher)
    with folder.claim(), listening(getattr(watcher, "stopping", None), ranks) as stop:
        if resumes:
            record = ranks.first(lambda: store.find(record.id))  # nobody else writes it any more
            marks.put_on(record)
            agreed = go_on(record, request.plan if request else None, force)
            if request is None or agreed != request.plan:
                request = make_request(agreed, request.registry if request else registry or load_tasks(), store)
        assert request, "what is resumed has a plan by now"
        how = (watcher, checkpoint_every, resumes, force, until, ranks)
        attempt = Attempt(request, folder, record, stop, *how)
        if record.status != "finished":
            carry_out(attempt, store, stop)
        if record.status == "finished":
            folder.tidy({score.step for score in record.scores.values()} | {record.last_step})
        stop.obey()  # whoever asked this run to stop means those after it too
    return record


def interrupted_by_restart(plan: Plan, store: Store) -> str | None:
    """The run that this job of torchrun was at when one of its processes died: it began them all again."""
    here = place()
    if not here.restarts:
        return None
    runs = [record for record in store.of_plan(plan.digest, plan.seed) if record.environment.get("job") == here.job]
    return runs[-1].id if runs else None


def begun(request: Request, store: Store, stage: str, notes: list[str], marks: Marks) -> Record:
    plan = request.plan
    record = Record(
        id=store.new_id(plan),
        plan=plan.to_dict(),
        digest=plan.digest,
        stage=stage,
        started=datetime.now(UTC).isoformat(timespec="microseconds"),
        notes=notes,
    )
    marks.put_on(record)
    store.create(record)
    return record


def go_on(record: Record, plan: Plan | None, force: bool) -> Plan:
    """Makes the record that of a run under way again; tells the plan to go on with."""
    agreed, changes = agreed_plan(record, plan, force)
    if changes:
        record.plan, record.digest = agreed.to_dict(), mixed_digest(record, agreed)
        record.notes += changes
    if record.status != "finished":
        record.status, record.error = "running", None
    return agreed


def carry_out(attempt: Attempt, store: Store, stop: Stop) -> None:
    record = attempt.record
    try:
        attempt.go()
        record.status = "finished"
    except Paused as pause:
        record.status, record.error = "interrupted", str(pause)
    except KeyboardInterrupt as error:
        record.status, record.error = "interrupted", _reason(error)
        raise
    except BaseException as error:
        if stop.raised and stop.asked:  # what a signal cuts short may fail in ways of its own
            stopped = Stopped(stop.asked)
            record.status, record.error = "interrupted", _reason(stopped)
            raise stopped from error
        record.status, record.error = "failed", own_failure(error) or str(error) or type(error).__name__
        if not isinstance(error, Lost):
            attempt.ranks.fail(record.error)
        raise
    finally:
        with stop.later():
            if ended := getattr(attempt.watcher, "ended", None):
                ended(record)
            if not attempt.close() and attempt.ranks.leads:
                store.discard(record.id)


def _reason(error: KeyboardInterrupt) -> str:
    return "terminated by the system" if getattr(error, "exit_code", 130) == 143 else "interrupted by the user"
