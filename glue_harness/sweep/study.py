"""A sweep under way: trials become jobs, what they score on held-out rows of train steers the search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import fmean

from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.core.task import Task
from glue_harness.jobs.graph import Job, Key
from glue_harness.jobs.launch import Doing, State
from glue_harness.metrics.selection import wait_of
from glue_harness.report.experiments import worded
from glue_harness.report.page.sweeps import FINAL, OF
from glue_harness.runs.store import Store
from glue_harness.sweep.search import Search, Trial
from glue_harness.sweep.space import Setting

FAILED = -1000.0  # below any score, a correlation of -100 too: a setting that cannot be trained is not tried again


@dataclass
class Tried:
    """A setting with what came of it."""

    trial: Trial
    plan: Plan  # without its seed
    values: dict[int, float] = field(default_factory=dict)  # seed -> the best mean of the tasks' scores
    steps: int = 0  # trained in all seeds
    seconds: float = 0.0

    @property
    def mean(self) -> float:
        return fmean(self.values.values())


@dataclass
class Study:
    base: Plan
    search: Search
    groups: Iterable[tuple[Task, ...]]  # tasks that are scored, those together that count as one
    store: Store
    seeds: int = 1
    notes: tuple[str, ...] = ()
    tried: dict[int, Tried] = field(default_factory=dict)  # by the trial's number
    waiting: dict[Key, tuple[Trial, int]] = field(default_factory=dict)  # job -> its trial and seed

    def begin(self, slots: int) -> list[Job]:
        return [job for trial in self.search.begin(slots) for job in self._jobs(trial)]

    def after(self, doing: Doing) -> Iterator[Job]:
        """What is to be done now that a job is over."""
        found = self.waiting.pop(doing.job.key, None)
        if found is None or doing.state not in (State.FINISHED, State.PAUSED, State.FAILED, State.LEFT_OUT):
            return
        trial, seed = found
        tried = self.tried[trial.number]
        tried.values[seed] = FAILED
        if doing.state in (State.FINISHED, State.PAUSED):
            self._take(tried, seed, self.store.find(doing.run), trial.until)
        if len(tried.values) == self.seeds:
            for following in self.search.after(trial, tried.mean):
                yield from self._jobs(following)

    def finished(self) -> list[Tried]:
        """The settings that were trained to their end, the best first."""
        whole = [tried for tried in self.tried.values() if tried.trial.until is None]
        whole = [tried for tried in whole if len(tried.values) == self.seeds and FAILED not in tried.values.values()]
        return sorted(whole, key=lambda tried: (-tried.mean, tried.trial.number))

    def final(self, winner: Tried, seeds: int) -> list[Job]:
        """The winner with seeds that chose nothing."""
        first = self.base.seed + self.seeds
        stage, fresh = f"{OF}{self.base.digest}: {FINAL}", range(first, first + seeds)
        return [Job(winner.plan.replace(seed=seed), stage, f"final, seed {seed}", self.notes) for seed in fresh]

    def _jobs(self, trial: Trial) -> Iterator[Job]:
        plan = self.base.replace(**trial.setting)
        self.tried[trial.number] = Tried(trial, plan)  # a rung higher, its record still tells all that it cost
        for seed in range(self.base.seed, self.base.seed + self.seeds):
            of_seed = f", seed {seed}" if self.seeds > 1 else ""
            name = f"{trial.number + 1}: {named(trial.setting)}{of_seed}"
            stage = f"{OF}{self.base.digest}: {named(trial.setting)}"
            job = Job(plan.replace(seed=seed), stage, name, self.notes, trial.until)
            self.waiting[job.key] = trial, seed
            yield job

    def _take(self, tried: Tried, seed: int, record: Record, until: int | None) -> None:
        """What the record says up to a rung: it may have gone further in an earlier sweep."""
        histories = {
            task: [(step, values) for step, values in history if until is None or step <= until]
            for task, history in record.history.items()
        }
        tried.values[seed] = wait_of(self.groups, histories).mean
        tried.steps += max((step for history in histories.values() for step, _ in history), default=0)
        tried.seconds += record.seconds


def named(setting: Setting) -> str:
    return ", ".join(worded(name, value) for name, value in setting.items())
