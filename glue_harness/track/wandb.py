"""Weights & Biases, offline in the run's folder: wandb sync sends it, WANDB_MODE=online does so at once."""

from __future__ import annotations

import os
from collections.abc import Mapping

from glue_harness.track import PROJECT, Told

PACKAGE = "wandb"


def begin(told: Told) -> Wandb:
    return Wandb(told)


class Wandb:
    def __init__(self, told: Told) -> None:
        import wandb

        mode = os.environ.get("WANDB_MODE") or "offline"
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            dir=str(told.folder),
            id=told.id,
            name=told.id,
            config=dict(told.settings),
            tags=list(told.tags),
            notes=told.note or None,
            mode=mode,
            resume="allow" if mode == "online" and told.step else None,
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def end(self, status: str) -> None:
        self.run.finish(exit_code=0 if status == "finished" else 1)
