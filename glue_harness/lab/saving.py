"""What a run keeps on disk as it goes: weights and snapshots, each once a step, and none that is not finite."""

from __future__ import annotations

from glue_harness.core.record import Record
from glue_harness.models.compressed import kind_of
from glue_harness.models.interface import names_of
from glue_harness.runs.folder import RunFolder
from glue_harness.train import checkpoints, snapshots
from glue_harness.train.learner import Learner
from glue_harness.train.snapshots import Progress


class Saver:
    def __init__(self, folder: RunFolder, learner: Learner) -> None:
        self.folder, self.learner = folder, learner
        model, learning = learner.model, learner.parameters
        if learner.plan.never_learns and not kind_of(model):  # nothing but heads differs from where it came from
            learning = [parameter for head in model.parts().heads for parameter in head.parameters()]
        self.learning = names_of(model, learning)
        self.checked: set[int] = set()  # steps whose weights were found to be finite
        self.saved: set[int] = set()  # steps whose weights this attempt has saved or loaded

    def check_weights(self, step: int) -> None:
        if step not in self.checked:
            self.learner.check_weights(f"after step {step}")
            self.checked.add(step)

    def save_weights(self, step: int) -> None:
        self.check_weights(step)
        if step not in self.saved:
            with self.learner.weights.gathered():
                checkpoints.save(self.folder, step, self.learner.model, self.learning)
            self.saved.add(step)

    def save_all(self, progress: Progress, record: Record) -> None:
        """All that the run needs to go on from here. After its last step no optimizer is needed any more."""
        step = progress.state.step
        self.save_weights(step)
        snapshots.save(self.folder, progress, record, self.learner if step < self.learner.plan.steps else None)
        self.folder.prune(())
