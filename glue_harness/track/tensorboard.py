"""Event files in the run's folder: tensorboard --logdir results shows all runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping

from glue_harness.core.writing import toml_text
from glue_harness.track import Told

PACKAGE = "tensorboardX"


def begin(told: Told) -> TensorBoard:
    return TensorBoard(told)


class TensorBoard:
    def __init__(self, told: Told) -> None:
        from tensorboardX import SummaryWriter

        # what was logged after the step that a run goes on from is done again
        self.writer = SummaryWriter(str(told.folder / "tensorboard"), purge_step=told.step + 1 if told.step else None)
        lines = [f"    {name} = {toml_text(value)}" for name, value in told.settings.items()]
        self.writer.add_text("plan", "\n".join(lines), told.step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def end(self, status: str) -> None:
        self.writer.close()
