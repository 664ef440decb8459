"""What learns: a model, the method that says which part of it, that part, and the optimiser that moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from glue_harness.core.errors import GlueError
from glue_harness.core.plan import Plan
from glue_harness.methods import Method
from glue_harness.models.interface import Model, count_parameters, not_finite, own_parameters
from glue_harness.train.passes import Run, one_pass
from glue_harness.train.weights import WHOLE, Weights


@dataclass(frozen=True)
class Learner:
    plan: Plan
    model: Model
    method: Method
    parameters: list[nn.Parameter]  # all that ever learn
    learn_at_first: int  # how many numbers in them the first step changes
    optimizer: Optimizer
    run: Run = one_pass  # what each of its passes does
    weights: Weights = WHOLE  # where they are kept

    @property
    def counts(self) -> dict[str, int]:
        """The model's parameters, and how many of them the run changes."""
        return self._counted(count_parameters)

    @property
    def kept(self) -> dict[str, int]:
        """The same of what this process holds of them."""
        return self._counted(self.weights.kept)

    def _counted(self, count: Callable[[Iterable[nn.Parameter]], int]) -> dict[str, int]:
        own, learning = own_parameters(self.model).values(), {id(parameter) for parameter in self.parameters}
        return {"total": count(own), "trainable": count(p for p in own if id(p) in learning)}

    def check_weights(self, when: str) -> None:
        """Weights that are not finite make every later number worthless: none may be scored or kept."""
        with self.weights.gathered():
            bad = not_finite(self.model)
        if bad:
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            raise GlueError(f"weights {when} are not finite: {bad[0]}{more}")
