"""Several processes that keep one model between them: each has a part of every block, by torch's `fully_shard`.

A part is some rows of each weight, of its gradient and of the optimiser's state. A block gathers its weights when the
states come to it and lets them go again, forwards and backwards: so all processes must take part in each pass, and
each does as many. What stands outside the blocks (embeddings, heads) is whole in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Replicate, distribute_tensor

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.methods import Method
from glue_harness.models.interface import Model, Parts
from glue_harness.models.stacks import THROUGH
from glue_harness.train.arrangement import Pass
from glue_harness.train.device import Machine
from glue_harness.train.optimizers.adafactor import COLUMNS
from glue_harness.train.ranks import dealt
from glue_harness.train.weights import Weights

CHANGING = ("on_step", "on_gradients", "after_step")  # of a method that reads or changes weights as it goes


def spread(
    plan: Plan, model: Model, method: Method, machine: Machine, learning: list[nn.Parameter]
) -> tuple[Weights, list[nn.Parameter]]:
    """Leaves each process its part of the model's blocks. What learns are other parameters from here on."""
    parts = model.parts()
    if not parts.stacks or parts.passes > len(parts.stacks[-1]):
        why = "uses one block again and again" if parts.stacks else "has no blocks"
        raise UsageError(f"shard is on but model {plan.model!r} {why}: use --shard off")
    if any(hasattr(method, name) for name in CHANGING):
        raise UsageError(
            f"shard is on but method {plan.method} does something of its own at each step: use --shard off"
        )
    if plan.match != "none":
        raise UsageError(f"shard is on and match is {plan.match!r}, which reads inner states: use --shard off")
    names = {id(parameter): name for name, parameter in model.module.named_parameters()}
    weights = Shards(parts, machine)
    parameters = dict(model.module.named_parameters())
    return weights, [parameters[names[id(parameter)]] for parameter in learning]


class Shards(Weights):
    def __init__(self, parts: Parts, machine: Machine) -> None:
        self.blocks: list[Any] = []
        self.ranks, self.depth = machine.ranks, 0  # how many of `gathered` are open
        mesh = init_device_mesh(machine.device.type, (machine.ranks.size,))
        for number, stack in enumerate(parts.stacks):
            for block in stack:
                sharded: Any = fully_shard(
                    block, mesh=mesh, reshard_after_forward=True, ignored_params=set(parts.outside)
                )
                sharded.set_gradient_divide_factor(1.0)  # the loss is a sum over all processes, not their mean
                sharded.set_force_sum_reduction_for_comms(True)
                if parts.through:
                    setattr(block, THROUGH, MethodType(parts.through[number], block))
                    register_fsdp_forward_method(block, THROUGH)
                self.blocks.append(sharded)

    def passes(self, passes: Sequence[Pass], machine: Machine, most: int | None) -> Sequence[Pass]:
        """As many for each process: one that has fewer does a row of the first one again, for nothing."""
        pieces = [piece for whole in passes for piece in whole.cut(most)]
        shares = dealt(pieces, machine.ranks.size)
        mine = shares[machine.ranks.rank]
        idle = replace(pieces[0].part(0, 1), idle=True)
        return [*mine, *[idle] * (max(map(len, shares)) - len(mine))]

    def kept(self, parameters: Iterable[nn.Parameter]) -> int:
        return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in parameters)

    def unreduced(self, parameters: Sequence[nn.Parameter]) -> Sequence[nn.Parameter]:
        return [parameter for parameter in parameters if not isinstance(parameter, DTensor)]

    @torch.no_grad()
    def clip(self, parameters: Sequence[nn.Parameter], limit: float | None) -> Tensor:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        parts = [gradient.to_local() for gradient in gradients if isinstance(gradient, DTensor)]
        wholes = [gradient for gradient in gradients if not isinstance(gradient, DTensor)]
        squares = nn.utils.get_total_norm(parts).square()
        with self.ranks.all_there():
            distributed.all_reduce(squares)
        norm = (squares + nn.utils.get_total_norm(wholes).square()).sqrt()
        if limit:
            torch._foreach_mul_([*parts, *wholes], (limit / (norm + 1e-6)).clamp(max=1.0))
        return norm

    @contextmanager
    def gathered(self, changed: bool = False) -> Iterator[None]:
        """Takes as much room in each process as all of the weights."""
        if not self.depth:
            for block in self.blocks:
                block.set_reshard_after_forward(False, recurse=False)
                with self.ranks.all_there():
                    block.unshard()
                for module in block.modules():  # torch's would part the weights again when a file is written or read
                    for hooks in (module._state_dict_pre_hooks, module._load_state_dict_pre_hooks):
                        hooks.clear()
                    module._load_state_dict_post_hooks.clear()
        self.depth += 1
        try:
            yield
            kept = [[whole.detach().clone() for whole in block.parameters()] for block in self.blocks if changed]
        finally:
            self.depth -= 1
            if not self.depth:
                for block in self.blocks:
                    block.set_reshard_after_forward(True, recurse=False)
                    block.reshard()
        assert not (kept and self.depth), "what is changed must be let go of first"
        with torch.no_grad():
            for block, weights in zip(self.blocks, kept, strict=False):
                for parameter, weight in zip(block.parameters(), weights, strict=True):
                    parameter.copy_(self.part(weight, parameter))

    def whole(self, tensor: Tensor) -> Tensor:
        with self.ranks.all_there():
            return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def part(self, tensor: Tensor, like: Tensor, role: str = "") -> Tensor:
        tensor = tensor.to(like.device)
        if not isinstance(like, DTensor) or not tensor.dim():
            return tensor
        placements = [Replicate()] if role == COLUMNS else like.placements  # a mean over all rows is of no part
        return distribute_tensor(tensor, like.device_mesh, placements, src_data_rank=None)  # nothing is sent
