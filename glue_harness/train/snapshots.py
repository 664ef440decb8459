"""What a run needs beside its weights to go on from a step as if nothing had happened.

Dropout and the order of examples are functions of the seed and the step, so no random generator has a state to keep.
"""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from glue_harness.core.errors import GlueError
from glue_harness.core.record import Record, record_from
from glue_harness.core.sealed import seal
from glue_harness.core.writing import json_text, write_atomic
from glue_harness.models.interface import Model
from glue_harness.runs.claim import LOCK
from glue_harness.runs.resume import SNAPSHOTS, snapshots
from glue_harness.train import checkpoints
from glue_harness.train.loop import State
from glue_harness.train.memory import Fit

KEPT = 2  # the newest one, and the one before it should that be damaged
OPTIMIZER = "optimizer.safetensors"
PROGRESS = "progress.json"
PREDICTIONS = "predictions"


@dataclass
class Progress:
    """How far a run has come."""

    state: State = field(default_factory=State)
    evaluated: int = 0  # the last step at which the tasks were scored
    best: dict[str, int] = field(default_factory=dict)  # group -> its best step so far
    fit: Fit = field(default_factory=Fit)  # how its updates are cut decides the last bits of their sums

    @property
    def weights(self) -> set[int]:
        """The steps whose weights it cannot do without."""
        return {self.state.step, *self.best.values()} - {0}


@dataclass(frozen=True)
class Snapshot:
    progress: Progress
    record: Record  # as it was then
    folder: Path | None = None  # of files that cannot be kept in memory; None at the very beginning


def save(run_folder: Path, progress: Progress, record: Record, model: Model, optimizer: Optimizer | None) -> None:
    """Beside the weights of its step, which must be there. No optimizer: no step is left to do."""
    target = run_folder / SNAPSHOTS / f"step-{progress.state.step:08d}"

    def write(draft: Path) -> None:
        nested = {"state": vars(progress.state), "fit": vars(progress.fit), "record": record.to_dict()}
        (draft / PROGRESS).write_text(json_text({**vars(progress), **nested}), encoding="utf-8")
        if optimizer:
            write_optimizer(draft / OPTIMIZER, model, optimizer)
        (draft / PREDICTIONS).mkdir()
        for task in record.scores:
            shutil.copy(run_folder / PREDICTIONS / f"{task}.jsonl", draft / PREDICTIONS)

    with checkpoints.explained(target):
        seal(target, write)


def newest(run_folder: Path) -> tuple[Snapshot | None, list[str]]:
    """The newest snapshot that is whole, with all weights it refers to, and what is wrong with any newer one."""
    damaged = []
    for step, folder in snapshots(run_folder):
        try:
            checkpoints.prove(folder)
            found = read(folder)
            for needed in sorted(found.progress.weights):
                checkpoints.prove(checkpoints.folder_of(run_folder, needed))
            return found, damaged
        except GlueError as error:
            damaged.append(f"step {step} cannot be resumed from: {error}")
    return None, damaged


def read(folder: Path) -> Snapshot:
    values = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    state = {key: math.nan if value is None else value for key, value in values["state"].items()}
    state |= {"seen": Counter(state["seen"]), "task_losses": {}}
    progress = Progress(State(**state), values["evaluated"], values["best"], Fit(**values["fit"]))
    return Snapshot(progress, record_from(values["record"]), folder)


def roll_back(run_folder: Path, found: Snapshot) -> None:
    """Removes what was written after a snapshot, and half written, and brings the predictions of then back."""
    for draft in run_folder.rglob(".*.tmp"):
        shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
    for step, folder in snapshots(run_folder):
        if step > found.progress.state.step or not is_whole(folder):
            shutil.rmtree(folder)
    prune(run_folder, ())
    for file in (run_folder / PREDICTIONS).glob("*.jsonl"):
        if file.stem not in found.record.scores:
            file.unlink()
    for task in found.record.scores:
        write_atomic(
            run_folder / PREDICTIONS / f"{task}.jsonl", (found.folder / PREDICTIONS / f"{task}.jsonl").read_bytes()
        )


def is_whole(folder: Path) -> bool:
    try:
        checkpoints.prove(folder)
    except GlueError:
        return False
    return True


def discard(run_folder: Path, wanted: Collection[int]) -> None:
    """A finished run keeps only the weights of the wanted steps."""
    (run_folder / LOCK).unlink(missing_ok=True)
    shutil.rmtree(run_folder / SNAPSHOTS, ignore_errors=True)
    checkpoints.prune(run_folder, wanted)


def prune(run_folder: Path, wanted: Collection[int]) -> None:
    """Keeps the newest snapshots, the weights they refer to, and those of the wanted steps."""
    for _, folder in snapshots(run_folder)[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
    needed = {step for _, folder in snapshots(run_folder) for step in read(folder).progress.weights}
    checkpoints.prune(run_folder, needed | set(wanted))


def write_optimizer(file: Path, model: Model, optimizer: Optimizer) -> None:
    """Its state by the names of the parameters: tensors as they are, numbers as JSON."""
    names = {id(parameter): name for name, parameter in model.module.named_parameters()}
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, float] = {}
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            (tensors if isinstance(value, Tensor) else numbers)[f"{names[id(parameter)]}/{key}"] = value
    save_file({name: t.contiguous() for name, t in tensors.items()}, file, metadata={"numbers": json.dumps(numbers)})


def read_optimizer(file: Path, model: Model, optimizer: Optimizer) -> None:
    parameters = dict(model.module.named_parameters())
    try:
        with safe_open(file, "pt") as opened:
            found: dict[str, Any] = json.loads(opened.metadata()["numbers"])
            found |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise GlueError(f"{str(file)!r} cannot be read: {error}") from None
    for place, value in found.items():
        name, _, key = place.rpartition("/")
        parameter = parameters[name]
        optimizer.state[parameter][key] = value.to(parameter.device) if isinstance(value, Tensor) else value
