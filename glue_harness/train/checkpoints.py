"""Weights of a run at a step, each in a sealed folder.

Of a model that learns in part, only that part is kept, with a fingerprint of the weights it belongs to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from glue_harness.core.errors import GlueError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Task
from glue_harness.methods import load_method
from glue_harness.models.families import is_from_scratch, load_model
from glue_harness.models.interface import Model
from glue_harness.runs.folder import RunFolder, prove
from glue_harness.runs.origin import PART


def save(run: RunFolder, step: int, model: Model, learning: Sequence[nn.Parameter]) -> None:
    """The model at a step, or what of it learns."""
    run.save_checkpoint(step, lambda draft: _write(draft, model, learning))


def load(run: RunFolder, step: int, model: Model) -> None:
    """A step's weights into a model of the same shape, prepared by the same method."""
    folder = run.checkpoint(step)
    if not run.has_checkpoint(step):
        raise GlueError(f"no complete checkpoint at {str(folder)!r}")
    prove(folder)
    _read(folder, model)


def rebuild(folder: Path, plan: Plan, tasks: Sequence[Task] = ()) -> Model:
    """The model of a complete checkpoint; where only a part was kept, the plan and its tasks tell the rest."""
    prove(folder)
    if not (folder / PART).exists():
        return load_model(plan.replace(model=str(folder), tokenizer=None), tasks, ())
    vocabulary = str(folder) if is_from_scratch(plan.model) else None
    model = load_model(plan.replace(tokenizer=vocabulary), tasks, ())
    load_method(plan.method).prepare(model, plan)
    _read(folder, model)
    return model


def _write(folder: Path, model: Model, learning: Sequence[nn.Parameter]) -> None:
    weights = dict(model.module.named_parameters())  # tied ones once
    chosen = {id(parameter) for parameter in learning}
    trained = {name: weight.detach() for name, weight in weights.items() if id(weight) in chosen}
    if len(trained) == len(weights):
        model.save(folder)
        return
    save_file(trained, folder / PART, metadata={"base": fingerprint(weights, trained)})
    model.save_vocabulary(folder)  # a model from scratch may have learned its vocabulary from the tasks


def _read(folder: Path, model: Model) -> None:
    if not (folder / PART).exists():
        model.load_weights(folder)
        return
    try:
        with safe_open(folder / PART, "pt") as file:
            base, trained = file.metadata()["base"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise GlueError(f"checkpoint {str(folder)!r} cannot be read: {error}") from None
    weights = dict(model.module.named_parameters())
    fits = all(name in weights and weights[name].shape == trained[name].shape for name in trained)
    if not fits or fingerprint(weights, trained) != base:
        raise GlueError(
            f"checkpoint {str(folder)!r} holds only what was trained, on a base that is not this model: "
            "give it the model of its plan, unchanged"
        )
    with torch.no_grad():
        for name, weight in trained.items():
            weights[name].copy_(weight)


def fingerprint(weights: Mapping[str, Tensor], trained: Collection[str]) -> str:
    """Of all weights but the trained ones, which a checkpoint brings itself."""
    found = hashlib.sha256()
    for name in sorted(weights.keys() - set(trained)):
        weight = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        found.update(weight.view(torch.uint8).numpy())
    return found.hexdigest()[:16]
