"""What a run needs beside its weights to go on from a step as if nothing had happened.

Dropout and the order of examples are functions of the seed and the step, so no random generator has a state to keep.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glue_harness.core.errors import GlueError
from glue_harness.core.record import Record, record_from
from glue_harness.metrics.crossfit import Kept
from glue_harness.runs.folder import PROGRESS, RunFolder
from glue_harness.train.learner import Learner
from glue_harness.train.loop import State
from glue_harness.train.memory import Fit

OPTIMIZER = "optimizer.safetensors"
METHOD = "method.safetensors"  # what the method knows beside the weights, where it knows anything


@dataclass
class Progress:
    """How far a run has come."""

    state: State = field(default_factory=State)
    evaluated: int = 0  # the last step at which the tasks were scored
    best: dict[str, int] = field(default_factory=dict)  # group -> its best step so far
    fit: Fit = field(default_factory=Fit)  # how its updates are cut decides the last bits of their sums
    halves: dict[str, Kept] = field(default_factory=dict)  # group -> what half of the examples would have chosen


@dataclass(frozen=True)
class Snapshot:
    progress: Progress
    record: Record  # as it was then
    has_optimizer: bool = False  # it is kept while steps are left


def save(run: RunFolder, progress: Progress, record: Record, learner: Learner | None) -> None:
    """Beside the weights of its step, which must be there. No learner: no step is left to do."""
    nested = {"state": vars(progress.state), "fit": vars(progress.fit), "record": record.to_dict()}

    tensors, numbers = optimizer_state(learner) if learner else ({}, {})

    def write(draft: Path) -> None:
        if learner:
            write_optimizer(draft / OPTIMIZER, tensors, numbers)
            if hasattr(learner.method, "state"):
                save_file(learner.method.state(learner.model), draft / METHOD)

    run.save_snapshot(progress.state.step, {**vars(progress), **nested}, write)


def read(folder: Path) -> Snapshot:
    values = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    state: dict[str, Any] = {key: math.nan if value is None else value for key, value in values["state"].items()}
    state |= {"seen": Counter(state["seen"]), "task_losses": {}}
    known = {"best": values["best"], "fit": Fit(**values["fit"]), "halves": values.get("halves", {})}
    progress = Progress(State(**state), values["evaluated"], **known)
    return Snapshot(progress, record_from(values["record"]), (folder / OPTIMIZER).exists())


def optimizer_state(learner: Learner) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Its state by the names of the parameters: tensors, whole, and numbers."""
    names = {id(parameter): name for name, parameter in learner.model.module.named_parameters()}
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, float] = {}
    for parameter, values in learner.optimizer.state.items():
        for key, value in values.items():
            place = f"{names[id(parameter)]}/{key}"
            if isinstance(value, Tensor):
                tensors[place] = learner.weights.whole(value).contiguous()
            else:
                numbers[place] = value
    return tensors, numbers


def write_optimizer(file: Path, tensors: dict[str, Tensor], numbers: dict[str, float]) -> None:
    save_file(tensors, file, metadata={"numbers": json.dumps(numbers)})


def load_optimizer(run: RunFolder, step: int, learner: Learner) -> None:
    """The state of a snapshot's optimiser into one of the same parameters."""
    parameters = dict(learner.model.module.named_parameters())
    metadata, tensors = read_tensors(run.snapshot(step) / OPTIMIZER)
    found: dict[str, Any] = {**json.loads(metadata["numbers"]), **tensors}
    for place, value in found.items():
        name, _, key = place.rpartition("/")
        parameter = parameters[name]
        kept = learner.weights.part(value, parameter, key) if isinstance(value, Tensor) else value
        learner.optimizer.state[parameter][key] = kept


def load_method_state(run: RunFolder, step: int, learner: Learner) -> None:
    """What the method of a snapshot knew, where it knows anything."""
    if hasattr(learner.method, "state"):
        _, kept = read_tensors(run.snapshot(step) / METHOD)
        for name, value in learner.method.state(learner.model).items():
            value.copy_(kept[name])


def read_tensors(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(file, "pt") as opened:
            return opened.metadata() or {}, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise GlueError(f"{str(file)!r} cannot be read: {error}") from None
