"""Where the weights of what learns are kept: whole in each process, or (train/shards.py) a part of them in each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn

from glue_harness.models.interface import count_parameters
from glue_harness.train.arrangement import Pass
from glue_harness.train.device import Machine


class Weights:
    """As most runs have them: whole."""

    def passes(self, passes: Sequence[Pass], machine: Machine, most: int | None) -> Sequence[Pass]:
        """The passes of an update that are this process's."""
        return machine.ranks.share(passes)

    def kept(self, parameters: Iterable[nn.Parameter]) -> int:
        """How many of their numbers this process holds."""
        return count_parameters(parameters)

    def unreduced(self, parameters: Sequence[nn.Parameter]) -> Sequence[nn.Parameter]:
        """Those whose gradients have yet to be added up when the backward pass is done."""
        return parameters

    def clip(self, parameters: Sequence[nn.Parameter], limit: float | None) -> Tensor:
        """Scales the gradient down to the limit and tells the norm it had."""
        learning = [parameter for parameter in parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in learning])
        if limit and (norm.device.type != "cpu" or norm > limit):  # asking a GPU would mean to wait for it
            nn.utils.clip_grads_with_norm_(learning, limit, norm)
        return norm

    def gathered(self, changed: bool = False) -> AbstractContextManager[None]:
        """Inside, the model's weights are whole. `changed`: as they are at the end, they stay."""
        return nullcontext()

    def whole(self, tensor: Tensor) -> Tensor:
        """All of a tensor that is kept as the weights are; all processes must ask."""
        return tensor

    def part(self, tensor: Tensor, like: Tensor, role: str = "") -> Tensor:
        """What this process keeps of a whole tensor, which is a weight or what an optimiser calls `role` of one."""
        return tensor.to(like.device)


WHOLE = Weights()
