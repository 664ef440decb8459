"""Scoring a run: what chooses each task's best step, and the scores that stand in its record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from glue_harness.core.record import EarlyEnd, Record, Score
from glue_harness.core.task import Prediction, Tally, Task
from glue_harness.lab.assemble import Setup
from glue_harness.lab.rundata import Questions
from glue_harness.lab.saving import Saver
from glue_harness.metrics import crossfit, measure
from glue_harness.metrics.selection import best_step, wait_of
from glue_harness.runs.evidence import score, with_intervals
from glue_harness.runs.folder import RunFolder
from glue_harness.train import checkpoints
from glue_harness.train.answers import answer
from glue_harness.train.snapshots import Progress


class Evaluation:
    """Scores a model as it stands, and keeps in `record` and `progress` what is best so far."""

    def __init__(
        self,
        setup: Setup,
        record: Record,
        progress: Progress,
        folder: RunFolder,
        saver: Saver,
        told: Callable[[int, int], None] | None = None,
    ) -> None:
        """`told` hears how many of the questions that are asked in one go have been answered."""
        self.told, self.done, self.asked = told, 0, 0
        self.setup, self.record, self.progress = setup, record, progress
        self.folder, self.saver = folder, saver
        self.plan = setup.request.plan
        self.groups = setup.request.groups
        self.held_out = self.plan.select == "heldout"

    def answers(self) -> dict[str, list[Prediction]]:
        """What the model says to the questions whose scores choose steps. Changes nothing."""
        asked, choosers = self.setup.data.asked, self.setup.data.choosers
        self.done, self.asked = 0, sum(len(asked[task.name].examples) for task in choosers)
        return {task.name: self._answered(task, asked[task.name]) for task in choosers}

    def take(self, found: Mapping[str, list[Prediction]], step: int) -> dict[str, dict[str, float | None]]:
        """Scores the answers given at a step, and keeps its checkpoint if it is the best yet for a task.

        Weights come first: no score may stand without its checkpoint.
        """
        record, best, choosers = self.record, self.progress.best, self.setup.data.choosers
        tallies = {task.name: [metric.tally(found[task.name]) for metric in task.metrics] for task in choosers}
        scored = {task.name: score(task, found[task.name], step, tallies[task.name]) for task in choosers}
        for name, result in scored.items():
            record.history.setdefault(name, []).append((step, result.metrics))
            if not self.held_out:
                record.last[name] = result
        improved = [group for group in self.groups if self._is_best(group, step)]
        if improved or step == self.plan.steps or self.ends_early(step):
            self.saver.save_weights(step)
            best.update(dict.fromkeys(improved, step))
            self.folder.prune({*best.values(), step})
        if not self.held_out:  # else validation is asked once, at the end
            for task in (task for group in improved for task in self.groups[group]):
                found_score = with_intervals(scored[task.name], tallies[task.name])
                self._keep(task, found_score, found[task.name])
            self._take_halves(tallies)
        self.progress.evaluated = step
        return {name: result.metrics for name, result in scored.items()}

    def ends_early(self, step: int) -> EarlyEnd | None:
        """Whether patience ran out at a step that was scored: a function of the scores, so the same when resumed."""
        patience, choosing = self.plan.patience, self.setup.data.choosing
        waited = wait_of(choosing.values(), self.record.history)
        if patience is None or waited.evaluations < patience or step == self.plan.steps:
            return None
        best = f"{waited.mean:.2f}, of step {waited.step:,}"
        why = (
            f"ended after step {step:,} of {self.plan.steps:,}: {waited.evaluations} evaluations without a better mean "
            f"of {', '.join(choosing)} than {best} (patience)"
        )
        return {"step": step, "why": why}

    def _keep(self, task: Task, scored: Score, found: Sequence[Prediction]) -> None:
        rows = self.setup.data.rows
        self.record.scores[task.name] = rows.with_clean(task, scored, found)
        self.folder.write_predictions(task.name, found, rows.shared(task, found))

    def _take_halves(self, tallies: Mapping[str, Sequence[Tally]]) -> None:
        """Says beside every score what it would be without the luck of choosing among the steps so far."""
        for group, tasks in self.groups.items():
            before = self.progress.halves.get(group)
            is_first = len(self.record.history[tasks[0].name]) == 1
            if before is None and not is_first:  # goes on from a snapshot of a version that did not keep them
                continue
            now = crossfit.update(before, {task.name: tallies[task.name] for task in tasks})
            self.progress.halves[group] = now
            honest = crossfit.without_luck(now)
            for task in tasks:
                scored = self.record.scores[task.name]
                without = scored.metrics if is_first else honest[task.name]  # of one step nothing is chosen
                self.record.scores[task.name] = replace(scored, without_luck=dict(without))

    def score_in_full(self) -> None:
        """The final scores use all examples, whatever was used to choose the steps.

        Without the luck of choosing are those of the examples that chose nothing, if there are any.
        """
        best, asked = self.progress.best, self.setup.data.scoring
        of_groups = [task.name for group in best for task in self.groups[group]]
        self.done, self.asked = 0, sum(len(asked[name].examples) for name in of_groups)
        for step in sorted(set(best.values())):
            with self.setup.learner.weights.gathered(changed=True):
                checkpoints.load(self.folder, step, self.setup.learner.model)
            for task in (task for group, at in best.items() if at == step for task in self.groups[group]):
                found = self._answered(task, self.setup.data.scoring[task.name])
                tallies = [metric.tally(found) for metric in task.metrics]
                found_score = with_intervals(score(task, found, step, tallies), tallies)
                found_score = replace(found_score, without_luck=self._unchosen(task, found))
                self._keep(task, found_score, found)

    def _unchosen(self, task: Task, found: Sequence[Prediction]) -> dict[str, float | None]:
        """The values over the examples that chose no step; where all of them did, what is known already."""
        chose = set() if self.held_out else {e.id for e in self.setup.data.asked[task.name].examples}
        rest = [prediction for prediction in found if prediction.example.id not in chose]
        if not rest:
            return self.record.scores[task.name].without_luck
        return {key: value if math.isfinite(value) else None for key, value in measure(task.metrics, rest).items()}

    def _answered(self, task: Task, asked: Questions) -> list[Prediction]:
        learner, machine = self.setup.learner, self.setup.machine
        with learner.weights.gathered():  # each process answers batches of its own
            return answer(learner.model, task, asked.examples, self.plan, machine, asked.tokens, self._tell)

    def _tell(self, more: int) -> None:
        self.done += more
        if self.told:
            self.told(self.done, self.asked)

    def _is_best(self, group: str, step: int) -> bool:
        """T5's rule over the group's whole history; an undefined score is never better than a defined one."""
        best = best_step(self.setup.data.choosing[group], self.record.history)
        return (best or step) == step if group in self.progress.best else True
