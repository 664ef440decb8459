"""Carries a graph of jobs out: what is ready is begun, what fails is kept, what is lost is done again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from glue_harness.core.record import Record
from glue_harness.jobs.executors import ENDS, FAILED, FINISHED, LOST, PAUSED, STOPPED, TAKEN, Event, Executor
from glue_harness.jobs.graph import Job, Key
from glue_harness.lab.signals import Stop, listening
from glue_harness.runs.store import Store

RETRIES = 3  # of a job whose worker died
LOOK_EVERY = 0.5  # seconds between two looks at what else there is to do
AGAIN_AFTER = 2.0  # seconds before a trial that another process carries out is asked for again


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    ELSEWHERE = "elsewhere"  # another launcher carries it out
    FINISHED = "finished"
    PAUSED = "paused"
    FAILED = "failed"
    LEFT_OUT = "left out"  # what it starts from failed
    STOPPED = "stopped"


OVER = (State.FINISHED, State.PAUSED, State.FAILED, State.LEFT_OUT, State.STOPPED)


@dataclass
class Doing:
    """How far a job is."""

    job: Job
    state: State = State.WAITING
    run: str = ""
    where: str = ""
    step: int = 0
    steps: int = 0
    text: str = ""  # the last scores, or why it failed
    began: float = 0.0
    first: int = 0  # the step that it went on from
    lost: int = 0  # times
    not_before: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        done = self.step - self.first
        if self.state is not State.RUNNING or done <= 0:
            return None
        end = min(self.steps, self.job.until or self.steps)
        return (time.monotonic() - self.began) / done * (end - self.step)


@dataclass
class Launch:
    """A graph under way. `more` may add jobs whenever one has ended; `told` is shown each change."""

    store: Store
    executor: Executor
    told: Callable[[Doing], None] = lambda doing: None
    more: Callable[[Doing], Iterable[Job]] = lambda doing: ()
    doing: dict[Key, Doing] = field(default_factory=dict)
    waiting: list[Key] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)

    def add(self, jobs: Iterable[Job]) -> None:
        """What has a finished run already is finished."""
        entries = self.store.by_age()
        runs = {(entry.digest, entry.seed or 0): entry.id for entry in entries if entry.status == "finished"}
        left, place = deque(jobs), 0
        while left:
            job = left.popleft()
            doing = self.doing[job.key] = Doing(job)
            if run := runs.get(job.key):
                doing.state, doing.run = State.FINISHED, run
                left.extend(self.more(doing))
            else:  # before what waits already: it builds on what has just ended
                self.waiting.insert(place, job.key)
                place += 1

    def carry_out(self, tell: Callable[[str], None] | None = None) -> None:
        """Until every job is over, or until a signal asked to stop and all that was at work has saved."""
        try:
            with listening(tell) as self.stop, self.stop.later():
                while any(doing.state not in OVER for doing in self.doing.values()):
                    if self.stop.asked:
                        self._end()
                        return
                    self._begin_ready()
                    for event in self.executor.events(LOOK_EVERY):
                        self._take(event)
        finally:
            self.executor.close()

    def records(self, jobs: Iterable[Job]) -> list[Record]:
        """Those of finished jobs."""
        return [self.store.find(self.doing[job.key].run) for job in jobs]

    def in_state(self, *states: State) -> list[Doing]:
        return [doing for doing in self.doing.values() if doing.state in states]

    def _begin_ready(self) -> None:
        """Jobs in their order, as far as there are slots and what they start from is finished."""
        now, free = time.monotonic(), self.executor.slots - len(self.in_state(State.RUNNING))
        has_failed = bool(self.in_state(State.FAILED, State.LEFT_OUT))
        for key in list(self.waiting):
            doing = self.doing[key]
            starts_from = doing.job.starts_from
            before = self.doing.get(starts_from) if starts_from else None
            if before and before.state in (State.FAILED, State.LEFT_OUT):
                self.waiting.remove(key)
                self._turn(doing, State.LEFT_OUT, text=f"it starts from {before.job.name or before.job.stage}")
            elif free <= 0:
                if not has_failed:  # nothing to leave out: the rest may be many
                    return
            elif now >= doing.not_before and (before is None or before.state is State.FINISHED):
                self.waiting.remove(key)
                free -= 1
                doing.began = time.monotonic()
                self._turn(doing, State.RUNNING)
                self.executor.start(doing.job)
                if self.stop.asked:
                    return

    def _take(self, event: Event) -> None:
        doing = self.doing[event.key]
        doing.run, doing.where = event.run or doing.run, event.where or doing.where
        if event.what not in ENDS:
            if event.what == "began":
                doing.began, doing.first = time.monotonic(), event.step
            doing.step, doing.steps, doing.text = event.step, event.steps, event.text or doing.text
            self.told(doing)
            return
        if event.what in (LOST, STOPPED) and not self.stop.asked:  # nobody asked it to: the machine did
            doing.lost += 1
            if doing.lost <= RETRIES:
                self._again(doing, State.WAITING, f"its worker died ({event.text}); it goes on")
            else:
                self._turn(doing, State.FAILED, text=f"its worker died {doing.lost} times, lastly {event.text}")
        elif event.what == TAKEN:
            self._again(doing, State.ELSEWHERE, "another process carries it out")
        else:
            after = {FINISHED: State.FINISHED, PAUSED: State.PAUSED, FAILED: State.FAILED}
            self._turn(doing, after.get(event.what, State.STOPPED), text=event.text or doing.text)
        if doing.state in OVER and (more := list(self.more(doing))):
            self.add(more)

    def _again(self, doing: Doing, state: State, text: str) -> None:
        doing.not_before = time.monotonic() + AGAIN_AFTER
        self.waiting.append(doing.job.key)
        self._turn(doing, state, text=text)

    def _turn(self, doing: Doing, state: State, text: str = "") -> None:
        doing.state, doing.text = state, text
        self.told(doing)

    def _end(self) -> None:
        """What is at work is asked to save; a second signal ends the wait."""
        self.executor.stop()
        while self.in_state(State.RUNNING):
            for event in self.executor.events(LOOK_EVERY):
                self._take(event)
        for doing in self.in_state(State.WAITING, State.ELSEWHERE):
            doing.state = State.STOPPED
