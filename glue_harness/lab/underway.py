"""One run under way: what its hooks share, and how it is left and found again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from glue_harness.core import writing
from glue_harness.core.errors import DataError, Stopped, UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.core.task import Prediction, Task
from glue_harness.core.writing import write_atomic
from glue_harness.lab.assemble import Setup, assemble
from glue_harness.lab.portions import Asked
from glue_harness.lab.request import Chosen
from glue_harness.lab.signals import Stop
from glue_harness.metrics import measure
from glue_harness.metrics.selection import best_step
from glue_harness.models.families import FROM_SCRATCH
from glue_harness.runs.evidence import environment, score, signatures
from glue_harness.runs.origin import Origin
from glue_harness.runs.resume import changed_data, changed_place
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry
from glue_harness.train import checkpoints, snapshots
from glue_harness.train.answers import answer
from glue_harness.train.loop import Hook, State, check_weights, train
from glue_harness.train.optimizers import make_optimizer
from glue_harness.train.snapshots import Progress, Snapshot

EVALUATIONS = 10  # a run, unless the plan says how often
LOG_EVERY = 10  # steps between lines of train.jsonl
PARTS = ("setup", "train", "evaluate", "save")  # what a run's seconds go to


class Watcher(Protocol):
    """Whoever wants to see a run go by. The command line's draws it."""

    def assembled(self, setup: Setup, record: Record, folder: Path) -> None: ...
    def stepped(self, setup: Setup, state: State) -> None: ...
    def scored(self, step: int, values: dict[str, dict[str, float]]) -> None: ...


class Clock:
    """Seconds by what they went to, on top of those of earlier attempts."""

    def __init__(self, earlier: dict[str, float | None]) -> None:
        self.spent = dict.fromkeys(PARTS, 0.0) | {part: seconds or 0.0 for part, seconds in earlier.items()}
        self.part, self.since = PARTS[0], time.perf_counter()

    def turn_to(self, part: str) -> None:
        now = time.perf_counter()
        self.spent[self.part] += now - self.since
        self.part, self.since = part, now


@dataclass
class UnderWay:
    plan: Plan
    registry: Registry
    chosen: Chosen
    origin: Origin
    store: Store
    record: Record
    watcher: Watcher | None
    stop: Stop
    checkpoint_every: int | None  # steps; None: whenever the tasks are scored
    resumes: bool
    force: bool
    progress: Progress = field(default_factory=Progress)
    started: bool = False  # before that nothing on disk was changed

    def __post_init__(self) -> None:
        self.folder = self.store.run_folder(self.record.id)
        self.clock = Clock(self.record.timing)
        self.saved: set[int] = set()  # steps whose weights this attempt has saved or loaded
        self.held_out = self.plan.select == "heldout"
        self.every = self.plan.eval_every or max(1, self.plan.steps // EVALUATIONS)

    def go(self) -> None:
        found = self._snapshot() if self.resumes else None
        self.setup = setup = self._assemble(found)
        check_weights(setup.model, f"of model {self.plan.model!r}")
        self.optimizer = make_optimizer(self.plan, setup.parameters)
        if self.resumes:
            self._refuse_changes()
            self._roll_back(found or Snapshot(Progress(), Record(self.record.id, {}, "")))
        if not self.progress.state.step:
            self.progress.fit = setup.fit
        self._describe()
        self.clock.turn_to("train")
        hooks = [Hook(1, self._show), Hook(LOG_EVERY, self._log)]
        hooks += [Hook(1, self._leave_if_asked), Hook(self.every, self._evaluate)]
        hooks.append(Hook(self.checkpoint_every or self.every, self._save))
        with self.stop.later():
            self._evaluate_if_missed()
            train(
                setup.model,
                setup.method,
                setup.parameters,
                self.optimizer,
                setup.feed,
                self.plan,
                setup.machine,
                hooks,
                self.progress.fit,
                self.progress.state,
            )
        if self.plan.eval_limit or self.held_out:
            self._score_in_full()

    def close(self) -> None:
        """The record as it stands; of a run that never came to train, no trace of a mistyped path."""
        self.clock.turn_to(self.clock.part)
        self.record.timing, self.record.seconds = dict(self.clock.spent), sum(self.clock.spent.values())
        if self.started:
            self._count()
            self.store.save(self.record)
        elif not self.resumes:
            self.store.discard(self.record.id)

    def _snapshot(self) -> Snapshot | None:
        found, damaged = snapshots.newest(self.folder)
        self._note(damaged)
        step = found.progress.state.step if found else 0
        if not found:
            self._note(["had no checkpoint to go on from and began again"])
        elif (found.folder / snapshots.OPTIMIZER).exists() != (
            step < self.plan.steps
        ):  # it is kept while steps are left
            raise UsageError(f"run {self.record.id} has done {step:,} steps: it cannot have {self.plan.steps:,} in all")
        self.record.resumed.append(step)
        return found

    def _assemble(self, found: Snapshot | None) -> Setup:
        """A vocabulary that was learned from the tasks is the one that the weights know."""
        learned = found and self.plan.model in FROM_SCRATCH and not self.plan.tokenizer
        kept = str(checkpoints.folder_of(self.folder, found.progress.state.step)) if learned else self.plan.tokenizer
        setup = assemble(self.plan.replace(tokenizer=kept), self.registry, self.chosen, self.origin)
        return dataclasses.replace(setup, plan=self.plan)

    def _refuse_changes(self) -> None:
        """The same run goes on only with the same data and the same vocabulary."""
        if self.record.environment.get("model", self._model()) != self._model():
            raise UsageError(f"model {self.plan.model!r} is not the one that run {self.record.id} began with")
        changed = changed_data(self.record.data or self._data(), self._data())
        if changed and not self.force:
            listed = "; ".join(changed)
            raise DataError(f"the data of run {self.record.id} changed: {listed}; undo that, or --force to mix the two")
        self._note([f"went on with changed data: {text}" for text in changed])

    def _roll_back(self, found: Snapshot) -> None:
        """Everything on disk and in memory as it was at the snapshot: whatever came later is done again."""
        self.started = True
        self.progress, step = found.progress, found.progress.state.step
        snapshots.roll_back(self.folder, found)
        self.store.cut_train(self.record.id, step)
        for part in ("scores", "history", "last"):
            setattr(self.record, part, getattr(found.record, part))
        if step:
            checkpoints.load(self.folder, step, self.setup.model)
            self.saved.add(step)
        if 0 < step < self.plan.steps:
            snapshots.read_optimizer(found.folder / snapshots.OPTIMIZER, self.setup.model, self.optimizer)

    def _describe(self) -> None:
        setup, record = self.setup, self.record
        record.parameters = setup.counts
        self._note(setup.notes)
        record.mix = setup.mix
        record.selected_on = setup.selected_on
        self._count()
        record.data = self._data()
        before, record.environment = (
            record.environment,
            {
                **environment(),
                **setup.machine.describe(),
                "model": self._model(),
                "metrics": signatures(self.chosen.scored),
            },
        )
        if before:
            self._note(f"at step {record.resumed[-1]}, {text}" for text in changed_place(before, record.environment))
        self.started = True
        self.store.save(record)
        write_atomic(self.folder / "plan.toml", self.plan.to_toml())
        if self.watcher:
            self.watcher.assembled(setup, record, self.folder)

    def _data(self) -> dict[str, dict[str, Any]]:
        rows = self.setup.rows.items()
        return {task: {role: found.to_record() for role, found in roles.items()} for task, roles in rows}

    def _model(self) -> dict[str, Any]:
        return {**self.setup.model.origin, **self.origin.to_record()}

    def _note(self, texts: Iterable[str]) -> None:
        self.record.notes += [text for text in texts if text not in self.record.notes]

    def _count(self) -> None:
        """What the record says of the training examples."""
        state = self.progress.state
        for name, count in state.seen.items():
            self.record.mix[name]["seen"] = count
        self.record.skipped = list(state.skipped)
        self._note(self.progress.fit.notes)

    def _show(self, state: State) -> None:
        if state.step == 1 < min(LOG_EVERY, self.plan.steps):
            self._log(state)
        if self.watcher:
            self.watcher.stepped(self.setup, state)

    def _log(self, state: State) -> None:
        facts = {"step": state.step, "loss": state.loss, "lr": state.lr, "gradient_norm": state.gradient_norm}
        facts |= {"examples": state.examples, "tokens": state.tokens, "task_losses": state.task_losses}
        self.store.append_train(self.record.id, facts)

    def _leave_if_asked(self, state: State) -> None:
        if self.stop.asked:
            self._save(state)
            self.stop.obey()

    def _evaluate_if_missed(self) -> None:
        """A run may have been left after a step and before the scores that were due."""
        state = self.progress.state
        due = state.step % self.every == 0 or state.step == self.plan.steps
        if state.step and due and state.step != self.progress.evaluated:
            self._evaluate(state)

    def _evaluate(self, state: State) -> None:
        """Scores what chooses steps, keeps the checkpoint if it is the best yet for a task, saves the record."""
        self.clock.turn_to("evaluate")
        record, best, choosers = self.record, self.progress.best, self.setup.choosers
        check_weights(self.setup.model, f"after step {state.step}")
        try:
            with self.stop.at_once():
                limit, asked = self.plan.eval_limit, self.setup.asked
                found = {task.name: self._answer(task, asked[task.name], limit) for task in choosers}
        except Stopped:
            self._save(state)
            raise
        for task in choosers:
            values = measure(task.metrics, found[task.name])
            record.history.setdefault(task.name, []).append((state.step, values))
            if not self.held_out:
                record.last[task.name] = score(task, found[task.name], state.step)
        improved = [group for group in self.chosen.groups if self._is_best(group, state.step)]
        if improved or state.step == self.plan.steps:  # weights first: no score may stand without its checkpoint
            self._save_weights(state.step)
            best.update(dict.fromkeys(improved, state.step))
            snapshots.prune(self.folder, {*best.values(), state.step})
        for group in improved if not self.held_out else ():  # else validation is asked once, at the end
            self._keep(group, found, state.step)
        self._count()
        self.progress.evaluated = state.step
        self.clock.turn_to("train")
        self.store.save(record)
        if self.watcher:
            self.watcher.scored(state.step, {task.name: record.history[task.name][-1][1] for task in choosers})

    def _save(self, state: State) -> None:
        """All that the run needs to go on from here. After its last step no optimizer is needed any more."""
        self.clock.turn_to("save")
        check_weights(self.setup.model, f"after step {state.step}")
        self._save_weights(state.step)
        writing.sync(self.folder / "train.jsonl")
        optimizer = self.optimizer if state.step < self.plan.steps else None
        snapshots.save(self.folder, self.progress, self.record, self.setup.model, optimizer)
        snapshots.prune(self.folder, self.progress.weights)
        self.clock.turn_to("train")

    def _save_weights(self, step: int) -> None:
        if step not in self.saved:
            checkpoints.save(self.folder, step, self.setup.model, self.setup.parameters)
            self.saved.add(step)

    def _answer(self, task: Task, asked: Asked, limit: int | None = None) -> list[Prediction]:
        setup = self.setup
        return answer(setup.model, task, asked.examples[:limit], self.plan, setup.machine, asked.tokens)

    def _is_best(self, group: str, step: int) -> bool:
        """T5's rule over the group's whole history; an undefined score is never better than a defined one."""
        best = best_step(self.setup.choosing[group], self.record.history)
        return (best or step) == step if group in self.progress.best else True

    def _keep(self, group: str, found: dict[str, list[Prediction]], step: int) -> None:
        for task in self.chosen.groups[group]:
            self.record.scores[task.name] = score(task, found[task.name], step, with_intervals=True)
            self.store.write_predictions(self.record.id, task.name, found[task.name])

    def _score_in_full(self) -> None:
        """The final scores use all examples, whatever was used to choose the steps."""
        self.clock.turn_to("evaluate")
        best = self.progress.best
        for step in sorted(set(best.values())):
            checkpoints.load(self.folder, step, self.setup.model)
            for group in (group for group, at in best.items() if at == step):
                tasks, asked = self.chosen.groups[group], self.setup.scoring
                self._keep(group, {task.name: self._answer(task, asked[task.name]) for task in tasks}, step)
