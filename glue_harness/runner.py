"""Plan -> Record: trains, scores each task at the step that is best for it, and keeps the evidence."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from glue_harness import __version__, checkpoint
from glue_harness.answer import answer
from glue_harness.assemble import Setup, assemble
from glue_harness.choose import Chosen, canonical, choose_tasks
from glue_harness.metrics import measure
from glue_harness.optim import make_optimizer
from glue_harness.origin import Origin, find_origin
from glue_harness.plan import Plan
from glue_harness.portions import Asked
from glue_harness.record import Record, Score
from glue_harness.registry import Registry, load_tasks
from glue_harness.selection import best_step
from glue_harness.stats import interval
from glue_harness.store import Store, write_atomic
from glue_harness.task import Prediction, Task
from glue_harness.train import Hook, State, probe, train

EVALUATIONS = 10  # a run, unless the plan says how often
LOG_EVERY = 10  # steps between lines of train.jsonl
COMMON = 5  # invalid answers listed in a record


class Watcher(Protocol):
    """Whoever wants to see a run go by. The command line's draws it."""

    def assembled(self, setup: Setup, record: Record, folder: Path) -> None: ...
    def stepped(self, setup: Setup, state: State) -> None: ...
    def scored(self, step: int, values: dict[str, dict[str, float]]) -> None: ...


def run(
    plan: Plan,
    *,
    results: str | os.PathLike[str] = "results",
    registry: Registry | None = None,
    watcher: Watcher | None = None,
    stage: str = "",
    notes: Sequence[str] = (),
) -> Record:
    """Carries a plan out. The record on disk is true at every moment, however the run ends.

    `stage` is its part in a strategy, `notes` are what the record says beside what is found out here.
    """
    registry = registry or load_tasks()
    plan = canonical(plan, registry)
    chosen = choose_tasks(plan, registry)
    store = Store(results)
    origin = find_origin(plan, store, registry)
    plan = plan.replace(model=origin.model)
    record = Record(
        id=store.new_id(plan),
        plan=plan.to_dict(),
        digest=plan.digest,
        stage=stage,
        started=datetime.now(UTC).isoformat(timespec="microseconds"),
        notes=[*notes, *chosen.notes],
    )
    store.create(record)
    under_way = _Run(plan, registry, chosen, origin, store, record, watcher)
    try:
        under_way.go()
        record.status = "finished"
    except KeyboardInterrupt:
        record.status, record.error = "interrupted", "interrupted by the user"
        raise
    except BaseException as error:
        record.status, record.error = "failed", str(error) or type(error).__name__
        raise
    finally:
        record.timing = under_way.timing()
        record.seconds = sum(record.timing.values())
        if record.environment:
            store.save(record)
        else:
            store.discard(record.id)  # it never came to train: leave no trace of a mistyped path
    return record


class _Run:
    """One run under way: what its hooks share."""

    def __init__(
        self,
        plan: Plan,
        registry: Registry,
        chosen: Chosen,
        origin: Origin,
        store: Store,
        record: Record,
        watcher: Watcher | None,
    ) -> None:
        self.plan, self.registry, self.chosen, self.origin = plan, registry, chosen, origin
        self.store, self.record, self.watcher = store, record, watcher
        self.folder = store.run_folder(record.id)
        self.best: dict[str, int] = {}  # group -> its best step so far
        self.held_out = plan.select == "heldout"
        self.began = time.perf_counter()
        self.setup_seconds = self.evaluation_seconds = 0.0

    def go(self) -> None:
        self.setup = setup = assemble(self.plan, self.registry, self.chosen, self.origin)
        self._describe()
        optimizer = make_optimizer(self.plan, setup.parameters)
        self.setup_seconds = time.perf_counter() - self.began
        every = self.plan.eval_every or max(1, self.plan.steps // EVALUATIONS)
        hooks = [Hook(1, self._log), Hook(every, self._evaluate)]
        loop = (setup.model, setup.method, setup.parameters, optimizer, setup.feed)
        try:
            if setup.machine.on_gpu:  # elsewhere nothing fails for want of memory, or all does
                probe(setup.model, setup.machine, setup.fit, setup.feed, self.plan.max_input)
            train(*loop, self.plan, setup.machine, hooks, setup.fit)
        finally:
            self.record.notes += setup.fit.notes
        if self.plan.eval_limit or self.held_out:
            self._score_in_full()

    def timing(self) -> dict[str, float]:
        """Where the seconds went so far."""
        rest = time.perf_counter() - self.began - self.setup_seconds - self.evaluation_seconds
        return {"setup": self.setup_seconds, "train": rest, "evaluate": self.evaluation_seconds}

    def _describe(self) -> None:
        setup, record = self.setup, self.record
        record.parameters = setup.counts
        record.notes += setup.notes
        record.mix = setup.mix
        record.selected_on = setup.selected_on
        record.data = {
            task: {role: rows.to_record() for role, rows in roles.items()} for task, roles in setup.rows.items()
        }
        record.environment = {
            **environment(),
            **setup.machine.describe(),
            "model": {**setup.model.origin, **self.origin.to_record()},
            "metrics": signatures(self.chosen.scored),
        }
        self.store.save(record)
        write_atomic(self.folder / "plan.toml", self.plan.to_toml())
        if self.watcher:
            self.watcher.assembled(setup, record, self.folder)

    def _log(self, state: State) -> None:
        if state.step % LOG_EVERY == 0 or state.step in (1, self.plan.steps):
            facts = {"step": state.step, "loss": state.loss, "lr": state.lr, "gradient_norm": state.gradient_norm}
            self.store.append_train(self.record.id, {**facts, "examples": state.examples, "tokens": state.tokens})
        if self.watcher:
            self.watcher.stepped(self.setup, state)

    def _evaluate(self, state: State) -> None:
        """Scores what chooses steps, keeps the checkpoint if it is the best yet for a task, saves the record."""
        began = time.perf_counter()
        record, choosers = self.record, self.setup.choosers
        found = {task.name: self._answer(task, self.setup.asked[task.name], self.plan.eval_limit) for task in choosers}
        for task in choosers:
            values = measure(task.metrics, found[task.name])
            record.history.setdefault(task.name, []).append((state.step, values))
            if not self.held_out:
                record.last[task.name] = score(task, found[task.name], state.step)
        improved = [group for group in self.chosen.groups if self._is_best(group, state.step)]
        if improved or state.step == self.plan.steps:  # weights first: no score may stand without its checkpoint
            checkpoint.save(self.folder, state.step, self.setup.model, self.setup.parameters)
            self.best.update(dict.fromkeys(improved, state.step))
            checkpoint.prune(self.folder, {*self.best.values(), state.step})
        for group in improved if not self.held_out else ():  # else validation is asked once, at the end
            self._keep(group, found, state.step)
        for name, count in state.seen.items():
            record.mix[name]["seen"] = count
        self.evaluation_seconds += time.perf_counter() - began
        self.store.save(record)
        if self.watcher:
            self.watcher.scored(state.step, {task.name: record.history[task.name][-1][1] for task in choosers})

    def _answer(self, task: Task, asked: Asked, limit: int | None = None) -> list[Prediction]:
        setup = self.setup
        return answer(setup.model, task, asked.examples[:limit], self.plan, setup.machine, asked.tokens)

    def _is_best(self, group: str, step: int) -> bool:
        """T5's rule over the group's whole history; an undefined score is never better than a defined one."""
        best = best_step([self.record.history[task.name] for task in self.setup.choosing[group]])
        return (best or step) == step if group in self.best else True

    def _keep(self, group: str, found: dict[str, list[Prediction]], step: int) -> None:
        for task in self.chosen.groups[group]:
            self.record.scores[task.name] = score(task, found[task.name], step, with_intervals=True)
            self.store.write_predictions(self.record.id, task.name, found[task.name])

    def _score_in_full(self) -> None:
        """The final scores use all examples, whatever was used to choose the steps."""
        began = time.perf_counter()
        for step in sorted(set(self.best.values())):
            checkpoint.load(self.folder, step, self.setup.model)
            for group in (group for group, best in self.best.items() if best == step):
                found = {
                    task.name: self._answer(task, self.setup.scoring[task.name]) for task in self.chosen.groups[group]
                }
                self._keep(group, found, step)
        self.evaluation_seconds += time.perf_counter() - began


def score(task: Task, predictions: Sequence[Prediction], step: int, with_intervals: bool = False) -> Score:
    """A task's values with what a reader needs to trust them."""
    invalid = [p.text for p in predictions if p.label is None]
    intervals: dict[str, tuple[float, float]] = {}
    for metric in task.metrics if with_intervals else ():
        intervals |= interval(metric.tally(predictions))
    values = measure(task.metrics, predictions)
    return Score(
        split=task.splits["validation"],
        step=step,
        metrics={key: value if math.isfinite(value) else None for key, value in values.items()},
        intervals={key: bounds for key, bounds in intervals.items() if math.isfinite(values[key])},
        n=len(predictions),
        invalid=len(invalid),
        common_invalid=Counter(invalid).most_common(COMMON),
    )


def signatures(tasks: Sequence[Task]) -> dict[str, str]:
    """How metrics were computed, where they have a notation for it (sacrebleu's for BLEU)."""
    signed = {metric for task in tasks for metric in task.metrics if metric.signature}
    return {metric.keys[0]: metric.signature() for metric in signed}


def environment() -> dict[str, Any]:
    """The software and the state of the code that made a number."""
    packages = ("torch", "transformers", "datasets", "numpy", "sentencepiece")
    return {
        "glue": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in packages},
        **_commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """The commit of a checkout and whether it was changed since; nothing in an installed package."""
    here = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()

    if not (here / ".git").exists():
        return {"commit": None, "dirty": None}
    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
