"""One attempt at a run, in one process: from its assembly, or its newest snapshot, to its last step."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

from torch import nn

from glue_harness.core.errors import DataError, Paused, Stopped, UsageError
from glue_harness.core.place import place
from glue_harness.core.record import Environment, Record
from glue_harness.lab.assemble import Setup, assemble
from glue_harness.lab.estimate import evaluated_every
from glue_harness.lab.evaluation import Evaluation
from glue_harness.lab.request import Request
from glue_harness.lab.saving import Saver
from glue_harness.lab.signals import Stop
from glue_harness.methods import scored_from
from glue_harness.metrics.baselines import yardsticks
from glue_harness.models.families import learns_vocabulary
from glue_harness.runs.evidence import environment, signatures
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.resume import changed_data, changed_place
from glue_harness.train import checkpoints, snapshots
from glue_harness.train.loop import Hook, State, train
from glue_harness.train.ranks import ALONE, Ranks
from glue_harness.train.snapshots import Progress, Snapshot

LOG_EVERY = 10  # steps between lines of train.jsonl
PHASES = ("setup", "train", "evaluate", "save")  # what a run's seconds go to


class Watcher(Protocol):
    """Whoever wants to see a run go by. The command line's draws it. What stands below `scored` is optional.

    So are `logged(facts)`, a line of the training log, `asked_teacher(task, examples)`, before a teacher reads so many,
    and `ended(record)`.
    """

    def assembled(self, setup: Setup, record: Record, folder: Path) -> None: ...
    def stepped(self, setup: Setup, state: State) -> None: ...
    def scored(self, step: int, values: dict[str, dict[str, float | None]]) -> None: ...
    def answered(self, done: int, asked: int) -> None: ...
    def stopping(self, text: str) -> None: ...  # called by a signal's handler: it must take no lock


class PhaseClock:
    """Seconds by phase, on top of those of earlier attempts."""

    def __init__(self, earlier: dict[str, float | None]) -> None:
        self.spent = dict.fromkeys(PHASES, 0.0) | {phase: seconds or 0.0 for phase, seconds in earlier.items()}
        self.phase, self.since = PHASES[0], time.perf_counter()

    def turn_to(self, phase: str) -> None:
        now = time.perf_counter()
        self.spent[self.phase] += now - self.since
        self.phase, self.since = phase, now


@dataclass
class Attempt:
    request: Request
    folder: RunFolder
    record: Record
    stop: Stop
    watcher: Watcher | None = None
    checkpoint_every: int | None = None  # steps; None: whenever the tasks are scored
    resumes: bool = False
    force: bool = False
    until: int | None = None  # the step after which it pauses
    ranks: Ranks = ALONE
    progress: Progress = field(default_factory=Progress)
    started: bool = False  # before that nothing on disk was changed

    def __post_init__(self) -> None:
        self.plan = self.request.plan
        self.clock = PhaseClock(self.record.timing)

    def go(self) -> None:
        found = self._snapshot() if self.resumes else None
        vocabulary = None
        if found and learns_vocabulary(self.plan):  # the one that the weights know
            vocabulary = str(self.folder.checkpoint(found.progress.state.step))
        self.setup = setup = assemble(self.request, vocabulary, getattr(self.watcher, "asked_teacher", None))
        self.request, self.plan = setup.request, setup.request.plan  # whose epochs are steps now
        self.every = evaluated_every(self.plan)
        setup.learner.check_weights(f"of model {self.plan.model!r}")
        self.saver = Saver(self.folder, setup.learner)
        if self.resumes:
            self._refuse_changes(found)
            self._roll_back(found or Snapshot(Progress(), Record(self.record.id, {}, "")))
        if not self.progress.state.step:
            self.progress.fit = setup.fit
        self.evaluation = Evaluation(setup, self.record, self.progress, self.folder, self.saver, self._answered)
        self._describe()
        self._compare(self.progress.state)
        self.clock.turn_to("train")
        hooks = [Hook(1, self._show), Hook(LOG_EVERY, self._log)]
        hooks += [Hook(1, self._leave_if_asked), Hook(self.every, self._evaluate)]
        hooks.append(Hook(self.checkpoint_every or self.every, self._save))
        hooks.append(Hook(1, self._pause_if_due))
        with self.stop.later():
            state = self.progress.state
            due = state.step % self.every == 0 or state.step == self.plan.steps
            if state.step and due and state.step != self.progress.evaluated:  # it was left before these scores
                self._evaluate(state)
            if self.plan.never_learns and not self.record.history:
                self._evaluate(state)
            train(setup.learner, setup.feed, setup.machine, hooks, self.progress.fit, state)
        if hasattr(setup.learner.method, "counted"):
            self.record.parameters |= setup.learner.method.counted(setup.learner.model)
        self.clock.turn_to("evaluate")
        if self.plan.eval_limit or self.plan.select == "heldout":
            with self.stop.at_once():  # and not before the first process has saved the best steps
                self.evaluation.score_in_full()
        self.ranks.agree(0)  # what the first process wrote is there for all
        self._add_yardsticks()
        self._hear_the_others()

    def close(self) -> bool:
        """The record as it stands; whether there is one. Of a run that never came to train, no trace is left."""
        self.clock.turn_to(self.clock.phase)
        self.record.timing, self.record.seconds = dict(self.clock.spent), sum(self.clock.spent.values())
        if self.started:
            self._count()
            self.folder.save(self.record)
        return self.started or self.resumes

    def _snapshot(self) -> Snapshot | None:
        at, damaged = self.ranks.first(self.folder.newest_snapshot)
        found = snapshots.read(at) if at else None
        self._note(damaged)
        step = found.progress.state.step if found else 0
        if not found:
            self._note(["had no checkpoint to go on from and began again"])
        self.record.resumed.append(step)
        return found

    def _refuse_changes(self, found: Snapshot | None) -> None:
        """The same run goes on only with the same data and the same vocabulary, and with steps left to do."""
        step = found.progress.state.step if found else 0
        if found and found.has_optimizer != (step < self.plan.steps):  # it is kept while steps are left
            raise UsageError(f"run {self.record.id} has done {step:,} steps: it cannot have {self.plan.steps:,} in all")
        if self.record.environment.get("model", self._model()) != self._model():
            raise UsageError(f"model {self.plan.model!r} is not the one that run {self.record.id} began with")
        if self.record.environment.get("teacher", self.setup.teacher) != self.setup.teacher:
            raise UsageError(f"teacher {self.plan.teacher!r} is not the one that run {self.record.id} began with")
        changed = changed_data(self.record.data or self._data(), self._data())
        if changed and not self.force:
            listed = "; ".join(changed)
            raise DataError(f"the data of run {self.record.id} changed: {listed}; undo that, or --force to mix the two")
        self._note([f"went on with changed data: {text}" for text in changed])

    def _roll_back(self, found: Snapshot) -> None:
        """Everything on disk and in memory as it was at the snapshot: whatever came later is done again."""
        self.started = True
        self.progress, step = found.progress, found.progress.state.step
        self.folder.roll_back(step)
        for part in ("scores", "history", "last", "stopped"):
            setattr(self.record, part, getattr(found.record, part))
        if step:
            with self.setup.learner.weights.gathered(changed=True):
                checkpoints.load(self.folder, step, self.setup.learner.model)
            self.saver.saved.add(step)
        if 0 < step < self.plan.steps:
            snapshots.load_optimizer(self.folder, step, self.setup.learner)
            snapshots.load_method_state(self.folder, step, self.setup.learner)

    def _describe(self) -> None:
        """What the record says beside the scores: parameters, data, mix, software and machine."""
        setup, record = self.setup, self.record
        record.parameters = setup.learner.counts
        record.plan = {**self.plan.to_dict(), "steps": self.plan.steps}
        self._note(setup.data.rows.notes)
        self._note(setup.truncations)
        record.mix = setup.mix
        record.selected_on = setup.data.selected_on(self.plan)
        self._count()
        record.data = self._data()
        before = record.environment
        facts = environment() | setup.machine.describe()
        facts |= {"model": self._model(), "metrics": signatures(self.request.scored), "processes": self.ranks.size}
        if self.setup.teacher:
            facts["teacher"] = self.setup.teacher
        if self.ranks.size > 1:
            facts["job"] = place().job
            self._note(self._of_cut_passes())
        record.environment = cast(Environment, facts)  # it may hold more than it declares, which ** cannot say
        if before:
            self._note(f"at step {record.resumed[-1]}, {text}" for text in changed_place(before, record.environment))
        self.started = True
        self.folder.save(record)
        self.folder.save_plan(self.plan)
        if self.watcher:
            self.watcher.assembled(setup, record, self.folder.path)

    def _add_yardsticks(self) -> None:
        """Beside each final score, what a constant answer would have scored on the same examples, or a perfect one."""
        for name, scored in self.record.scores.items():
            task, rows = self.request.registry.task(name), self.setup.data.rows.by_role[name]["validation"]
            beside = yardsticks(task, self.folder.read_predictions(task), rows.right)
            self.record.scores[name] = replace(scored, **beside)

    def _data(self) -> dict[str, dict[str, Any]]:
        rows, lengths = self.setup.data.rows.by_role.items(), self.setup.data.lengths
        return {
            task: {
                role: {**found.to_record(), **(lengths[task, role]._asdict() if (task, role) in lengths else {})}
                for role, found in roles.items()
            }
            for task, roles in rows
        }

    def _model(self) -> dict[str, Any]:
        return {**self.setup.learner.model.origin, **self.request.origin.to_record()}

    def _note(self, texts: Iterable[str]) -> None:
        self.record.notes += [text for text in texts if text not in self.record.notes]

    def _count(self) -> None:
        """What the record says of the training examples."""
        state = self.progress.state
        for name, count in state.seen.items():
            self.record.mix[name]["seen"] = count
        self.record.skipped = list(state.skipped)
        self._note(self.progress.fit.notes)

    def _hear_the_others(self) -> None:
        """What memory taught any of the processes, and how much of training they did not compute."""
        for notes in self.ranks.gather(self.progress.fit.notes):
            self._note(notes)
        trained = self.clock.spent["train"] - (self.record.timing.get("train") or 0.0)  # not by earlier attempts
        each = self.ranks.gather(self.ranks.waited)
        if len(each) > 1 and trained:
            self.record.environment["waiting"] = min(1.0, sum(each) / len(each) / trained)

    def _of_cut_passes(self) -> list[str]:
        """On a GPU dropout is drawn for what is done at once: processes that share a pass draw other masks than one."""
        plan, size = self.plan, self.ranks.size
        passes = len(self.setup.feed.update(self.progress.state.step).passes)
        machine = self.setup.machine
        drops = (machine.on_gpu or machine.compiled) and any(
            part.p > 0 for part in self.setup.learner.model.module.modules() if isinstance(part, nn.Dropout)
        )
        if passes >= size or not drops:
            return []
        fix = "" if plan.batch_tokens else f": --set micro_batch={max(1, plan.batch_size // size)} gives the same"
        found = f"{passes} pass{'es' if passes > 1 else ''}"
        return [f"{size} processes share an update of {found} by rows, so dropout is not one process's{fix}"]

    def _answered(self, done: int, asked: int) -> None:
        if told := getattr(self.watcher, "answered", None):
            told(done, asked)
        if self.ranks.size > 1:
            self.stop.obey()

    def _compare(self, state: State) -> None:
        when = f"after step {state.step}" if state.step else "at first"
        with self.setup.learner.weights.gathered():
            self.ranks.compare(self.setup.learner.model.module, when)

    def _show(self, state: State) -> None:
        if state.step == 1 < min(LOG_EVERY, self.plan.steps):
            self._log(state)
        if self.watcher:
            self.watcher.stepped(self.setup, state)

    def _log(self, state: State) -> None:
        facts: dict[str, Any] = {"step": state.step, "loss": state.loss, "lr": state.lr}
        facts |= {"gradient_norm": state.gradient_norm, "examples": state.examples, "tokens": state.tokens}
        facts["task_losses"] = state.task_losses
        self.folder.append_train(facts)
        if told := getattr(self.watcher, "logged", None):
            told(facts)

    def _leave_if_asked(self, state: State) -> None:
        if self.stop.wanted():
            self._save(state)
            self.stop.obey()

    def _pause_if_due(self, state: State) -> None:
        if self.until is not None and self.until <= state.step < self.plan.steps and not state.over:
            self._save(state)
            raise Paused(f"paused after step {state.step:,}")

    def _evaluate(self, state: State) -> None:
        if state.step < scored_from(self.setup.learner.method, self.plan):
            return
        self.clock.turn_to("evaluate")
        self.saver.check_weights(state.step)
        self._compare(state)
        try:
            with self.stop.at_once():
                found = self.evaluation.answers()
        except Stopped:
            self._save(state)
            raise
        values = self.evaluation.take(found, state.step)
        self.folder.append_train({"scored": state.step, "scores": values})
        self.record.stopped = self.evaluation.ends_early(state.step)
        state.over = self.record.stopped is not None
        self._count()
        self.clock.turn_to("train")
        self.folder.save(self.record)
        if self.watcher:
            self.watcher.scored(state.step, values)

    def _save(self, state: State) -> None:
        self.clock.turn_to("save")
        self.saver.save_all(self.progress, self.record)
        self.clock.turn_to("train")
