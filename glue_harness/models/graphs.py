"""A loss as compiled graphs, one for each shape of a batch that training repeats."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

from glue_harness.core import cache
from glue_harness.models.batch import Batch

MOST = 64  # shapes: a graph takes longer to make than a rare one is worth

Forward = Callable[[Batch, bool], tuple[Tensor, Tensor]]


class Graphs:
    """`forward`, as a graph where one pays. Each is made when its shape is first met, and kept in the cache."""

    def __init__(self, forward: Forward, module: nn.Module, backend: str) -> None:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.folder() / "graphs"))
        limit = 2 * MOST  # torch's own is 8, and at the limit it stops with an error
        torch._dynamo.config.recompile_limit = max(limit, torch._dynamo.config.recompile_limit)
        self.forward, self.module = forward, module
        self.compiled = torch.compile(forward, dynamic=False, fullgraph=True, backend=backend)
        self.shapes: set[tuple[int, ...]] = set()

    def __call__(self, batch: Batch, lean: bool) -> tuple[Tensor, Tensor]:
        return (self.compiled if self.pays(batch, lean) else self.forward)(batch, lean)

    def pays(self, batch: Batch, lean: bool) -> bool:
        """Not for a look at single examples, each of a shape of its own, nor for ever more shapes."""
        if not self.module.training:
            return False
        learning = sum(p.requires_grad for p in self.module.parameters())  # gradual unfreezing needs other graphs
        shape = (*batch.inputs.shape, batch.given.shape[1], len(batch.labels), lean, learning)
        if len(self.shapes) < MOST:
            self.shapes.add(shape)
        return shape in self.shapes
