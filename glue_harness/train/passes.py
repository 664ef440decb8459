"""An update's way through the model: forward and backward, in as many passes as memory wants."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glue_harness.core.errors import GlueError
from glue_harness.models.batch import moved
from glue_harness.models.dropout import drawn_by_rows
from glue_harness.models.interface import Loss, Model
from glue_harness.train.arrangement import Pass
from glue_harness.train.device import Machine
from glue_harness.train.feed import Feed, Update
from glue_harness.train.memory import Fit, is_out_of_memory

# How a batch becomes gradients: of a model, the batch, what its loss is divided by, on a machine, under a fit, and
# whether the update has no other pass. What comes back is each term of the loss.
Run = Callable[[Model, Any, Any, Machine, Fit, bool], Tensor]


Learned = Callable[[Model, Any, bool], Loss]  # what is made less: of a model, a batch, and whether memory is short


def passing(learned: Learned) -> Run:
    """A pass that computes this loss and its gradients."""

    def run(model: Model, batch: Any, terms: float | Tensor, machine: Machine, fit: Fit, alone: bool) -> Tensor:
        with machine.autocast():
            loss = learned(model, batch, fit.lean)
        (loss.total / terms).backward()
        return loss.each

    return run


one_pass = passing(lambda model, batch, lean: model.loss(batch, lean))


def fitting(model: Model, update: Update, machine: Machine, fit: Fit, seed: int, run: Run = one_pass) -> Tensor:
    """`accumulate`, in smaller passes where memory does not suffice: the update is the same."""
    while True:
        try:
            with machine.ranks.all_there(computing=True) if machine.sharded else nullcontext():
                return accumulate(model, update, machine, fit, run, seed)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if machine.sharded:
                what = "out of memory, and processes that keep weights between them cannot cut a pass alone"
                raise GlueError(f"{what}: use --set micro_batch=N") from None
            model.module.zero_grad(set_to_none=True)
        fit.shrink(update)


def probe(model: Model, machine: Machine, fit: Fit, feed: Feed, longest: int) -> None:
    """The largest pass that may come, once, for nothing: memory fails now or, most likely, never."""
    example = model.filler(longest)
    rows = max(1, (fit.most or example.length) // example.length)
    part = Pass([[example]] * rows, [0] * rows, feed.grid)
    model.module.train()  # with dropout's masks, as in a step
    fitting(model, Update([part], rows, part.padded, {}, feed.names, [], list), machine, fit, seed=0)
    model.module.zero_grad(set_to_none=True)
    fit.tried = True
    fit.remember()


def accumulate(model: Model, update: Update, machine: Machine, fit: Fit, run: Run = one_pass, seed: int = 0) -> Tensor:
    """Gradients of the mean loss over the update's terms, however many passes it takes.

    Dropout is a function of the step, whose seed is given, and on a CPU of each row's place in the update: not of
    history, not of how passes are cut, and not of the process that does them. On a GPU it is one of the part of a pass.
    """
    by_rows = not machine.on_gpu and not machine.compiled
    sums = torch.zeros(len(update.tasks), dtype=torch.float64, device=machine.device)
    pieces = [piece for whole in update.passes for piece in whole.cut(fit.most)]
    for part in pieces:
        batch = model.lay(part.rows, machine.device, part.grid)
        number, first = part.place
        torch.manual_seed(at_place(seed, number, 0 if by_rows else first))
        rows = [at_place(seed, number, row + 1) for row in range(first, first + len(part.rows))]
        with drawn_by_rows(rows):
            terms = math.inf if part.idle else update.terms
            each = run(model, batch, terms, machine, fit, len(pieces) == 1)
        if part.idle:
            continue
        sums.index_add_(0, owners(part, len(each), machine), each.double())
    return sums


def at_place(seed: int, number: int, row: int) -> int:
    """A seed for each pass of an update, with row 0, and for each of its rows, counted from 1."""
    return (seed + number * 0x9E3779B97F4A7C15 + row * 0xD6E8FEB86659FD93) % 2**63


def owners(part: Pass, size: int, machine: Machine) -> Tensor:
    """The task of every term of the loss; what fills the grid has no loss, whoever owns it."""
    tasks = np.repeat(part.tasks, [e.terms for row in part.rows for e in row])
    return moved(torch.from_numpy(np.pad(tasks, (0, size - len(tasks)))), machine.device)
