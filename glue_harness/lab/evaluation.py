"""Scoring a run: what chooses each task's best step, and the scores that stand in its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from glue_harness.core.record import Record
from glue_harness.core.task import Prediction, Task
from glue_harness.lab.assemble import Setup
from glue_harness.lab.rundata import Questions
from glue_harness.lab.saving import Saver
from glue_harness.metrics.selection import best_step
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
        asked, limit = self.setup.data.asked, self.plan.eval_limit
        choosers = self.setup.data.choosers
        self.done, self.asked = 0, sum(len(asked[task.name].examples[:limit]) for task in choosers)
        return {task.name: self._answered(task, asked[task.name], limit) for task in choosers}

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
        if improved or step == self.plan.steps:
            self.saver.save_weights(step)
            best.update(dict.fromkeys(improved, step))
            self.folder.prune({*best.values(), step})
        if not self.held_out:  # else validation is asked once, at the end
            for task in (task for group in improved for task in self.groups[group]):
                record.scores[task.name] = with_intervals(scored[task.name], tallies[task.name])
                self.folder.write_predictions(task.name, found[task.name])
        self.progress.evaluated = step
        return {name: result.metrics for name, result in scored.items()}

    def score_in_full(self) -> None:
        """The final scores use all examples, whatever was used to choose the steps."""
        best, asked = self.progress.best, self.setup.data.scoring
        of_groups = [task.name for group in best for task in self.groups[group]]
        self.done, self.asked = 0, sum(len(asked[name].examples) for name in of_groups)
        for step in sorted(set(best.values())):
            checkpoints.load(self.folder, step, self.setup.learner.model)
            for task in (task for group, at in best.items() if at == step for task in self.groups[group]):
                found = self._answered(task, self.setup.data.scoring[task.name])
                tallies = [metric.tally(found) for metric in task.metrics]
                self.record.scores[task.name] = with_intervals(score(task, found, step, tallies), tallies)
                self.folder.write_predictions(task.name, found)

    def _answered(self, task: Task, asked: Questions, limit: int | None = None) -> list[Prediction]:
        model, machine = self.setup.learner.model, self.setup.machine
        return answer(model, task, asked.examples[:limit], self.plan, machine, asked.tokens, self._tell)

    def _tell(self, more: int) -> None:
        self.done += more
        if self.told:
            self.told(self.done, self.asked)

    def _is_best(self, group: str, step: int) -> bool:
        """T5's rule over the group's whole history; an undefined score is never better than a defined one."""
        best = best_step(self.setup.data.choosing[group], self.record.history)
        return (best or step) == step if group in self.progress.best else True
