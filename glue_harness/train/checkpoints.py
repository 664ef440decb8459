"""Weights of a run at a step, each in a sealed folder.

Of a model that learns in part, only that part is kept, with a fingerprint of the weights it belongs to. What a method
has added to a model is such a part too, even if all of it learns: no family's own layout has a place for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glue_harness.core.errors import GlueError
from glue_harness.core.plan import Plan
from glue_harness.core.sealed import MARKER
from glue_harness.core.task import Task
from glue_harness.methods import load_method
from glue_harness.models import compressed
from glue_harness.models.families import is_from_scratch, load_model
from glue_harness.models.interface import Model, Prompted, own_parameters
from glue_harness.models.marks import kind_in
from glue_harness.runs.folder import RunFolder, prove
from glue_harness.runs.origin import PART, Origin


def save(run: RunFolder, step: int, model: Model, learning: Collection[str]) -> None:
    """The model at a step, or what of it learns, by name."""
    run.save_checkpoint(step, lambda draft: _write(draft, model, learning))


def load(run: RunFolder, step: int, model: Model) -> None:
    """A step's weights into a model of the same shape, prepared by the same method."""
    folder = run.checkpoint(step)
    if not run.has_checkpoint(step):
        raise GlueError(f"no complete checkpoint at {str(folder)!r}")
    prove(folder)
    _read(folder, model)


def build(origin: Origin, plan: Plan, tasks: Sequence[Task] = (), texts: Iterable[str] = ()) -> Model:
    """The model that lies at a plan's origin: whole weights, with the parts that runs trained of them since."""
    source, parts, seed, from_scratch = origin.source, origin.parts, plan.seed, is_from_scratch(origin.source)
    for folder in (Path(source), *(part.folder for part in parts)):
        if (folder / MARKER).exists():
            prove(folder)
    plan = plan.replace(model=source, tokenizer=plan.tokenizer if from_scratch else None)
    if not parts:
        model = load_model(plan, tasks, texts)
        if kind_in(Path(source)) and plan.shots is not None:  # its solved examples are its own, as a part's are
            cast(Prompted, model).recall(Path(source))
        return model
    if from_scratch:  # it was drawn by that run's seed, with a vocabulary that may have been learned of its texts
        plan = plan.replace(tokenizer=str(parts[0].folder), seed=parts[0].plan.seed)
    try:
        model = load_model(plan, tasks, ())
        for part in parts:
            load_method(part.plan.method).prepare(model, part.plan)
            _read(part.folder, model, for_other_tasks=bool(tasks))
            if plan.shots is not None:
                cast(Prompted, model).recall(part.folder)
    except GlueError as error:
        raise type(error)(f"model {origin.model!r} is a part that was trained of {source!r}: {error}") from None
    torch.manual_seed(seed)
    return model


def _write(folder: Path, model: Model, learning: Collection[str]) -> None:
    weights = own_parameters(model)
    trained = {name: weight.detach() for name, weight in weights.items() if name in learning}
    if trained.keys() == weights.keys() and (kind := compressed.kind_of(model)):
        compressed.save(model, folder, kind)
        return
    if trained.keys() == weights.keys() == model.plain:
        model.save(folder)
        return
    # the fingerprint and the heads in one entry: safetensors writes several in an order that differs from run to run
    base = " ".join([fingerprint(weights, trained), *sorted(_heads(model))])
    save_file(trained, folder / PART, metadata={"base": base})
    model.save_vocabulary(folder)  # a model from scratch may have learned its vocabulary from the tasks


def _read(folder: Path, model: Model, for_other_tasks: bool = False) -> None:
    """Heads belong to no base; those of tasks that the model is not made for may be left out."""
    if not (folder / PART).exists():
        model.load_weights(folder)
        return
    try:
        with safe_open(folder / PART, "pt") as file:
            base, *heads = file.metadata()["base"].split(" ")
            trained = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise GlueError(f"checkpoint {str(folder)!r} cannot be read: {error}") from None
    model.check_part(folder)
    weights = dict(model.module.named_parameters())
    if for_other_tasks:
        trained = {name: weight for name, weight in trained.items() if name in weights or name not in heads}
    fits = all(name in weights and weights[name].shape == trained[name].shape for name in trained)
    if not fits or fingerprint(weights, {*trained, *_heads(model)}) != base:
        raise GlueError(
            f"checkpoint {str(folder)!r} holds only what was trained, on a base that is not this model: "
            "give it the model of its plan, unchanged"
        )
    with torch.no_grad():
        for name, weight in trained.items():
            weights[name].copy_(weight)


def _heads(model: Model) -> set[str]:
    """Names of what was made for the tasks: it always learns."""
    own = {id(parameter) for head in model.parts().heads for parameter in head.parameters()}
    return {name for name, parameter in model.module.named_parameters() if id(parameter) in own}


def fingerprint(weights: Mapping[str, Tensor], trained: Collection[str]) -> str:
    """Of all weights but the trained ones, which a checkpoint brings itself."""
    found = hashlib.sha256()
    for name in sorted(weights.keys() - set(trained)):
        weight = weights[name].detach().to("cpu", copy=True).contiguous()  # numpy would hold on to the weight itself
        found.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        found.update(weight.flatten().view(torch.uint8).numpy())  # a single number has no bytes to view
    return found.hexdigest()[:16]
