"""Fine-tuning methods: one file each, named after itself, that says which parameters learn.

A method with settings of its own declares them as `SETTINGS` (core/settings.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, cast

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan, settings
from glue_harness.core.settings import load_plugin

if TYPE_CHECKING:
    from torch import Tensor, nn

    from glue_harness.models.interface import Export, Loss, Model, Parts


class Method(Protocol):
    """What a file here defines. All but `prepare` is optional: `added` where nothing is, `as_peft` where peft has no
    such, the others where a method does something at that place."""

    def added(self, model: Model, plan: Plan) -> tuple[int, int]:
        """How many numbers `prepare` would add, and tokens before each input: what cannot fit is refused first."""

    def prepare(self, model: Model, plan: Plan) -> list[nn.Parameter]:
        """Marks what learns (`requires_grad`) and returns all that ever will. What an earlier run of the same method
        has added to the model is there already: it learns on, and none is added."""

    def on_step(self, model: Model, plan: Plan, step: int) -> None:
        """Called before each step, for methods that change what learns over time."""

    def on_gradients(self, model: Model, plan: Plan, step: int) -> None:
        """Called when a step's gradients are whole and clipped, before the optimiser reads them."""

    def after_step(self, model: Model, plan: Plan, step: int) -> None:
        """Called when the optimiser has moved the weights, or was left out, before anything is scored or saved."""

    def state(self, model: Model) -> dict[str, Tensor]:
        """What the method knows beside the weights, the tensors themselves: a snapshot keeps it for a resumed run."""

    def scored_from(self, plan: Plan) -> int:
        """The first step at which the model is what the plan wants of it, where that takes a while."""

    def counted(self, model: Model) -> dict[str, int]:
        """What the record says of the parameters when the run is over, beside how many there are and learn."""

    def loss(self, plan: Plan, model: Model, batch: Any, lean: bool) -> Loss:
        """What a pass makes less, where that is not the model's own loss."""

    def as_peft(self, export: Export, plan: Plan, kind: str | None) -> Any:
        """The exported model with what `prepare` added, as peft has it. `kind`: peft's name for what it answers."""


def load_method(name: str) -> Method:
    return cast(Method, load_plugin("method", name))


def scored_from(method: Method, plan: Plan) -> int:
    """The first step at which the model is what a plan wants of its method: none before is scored, or chosen."""
    return method.scored_from(plan) if hasattr(method, "scored_from") else 0


def blocks_of(model: Model, plan: Plan) -> Parts:
    """The parts of a model that has blocks, which nearly every method takes hold of."""
    parts = model.parts()
    if not parts.stacks:
        raise lacking(plan, "blocks")
    return parts


def lacking(plan: Plan, what: str) -> UsageError:
    """The error for a method that has no place in a model."""
    return UsageError(f"method {plan.method} needs {what}, of which model {plan.model!r} has none: use --method full")


def check_added(plan: Plan, name: str, there: int) -> None:
    """What an earlier run has added keeps its size."""
    if getattr(plan, name) != there:
        option = f"--{name.replace('_', '-')} {there}" if settings()[name].group else f"--set {name}={there}"
        raise UsageError(
            f"{name} is {getattr(plan, name)}, but what its run has added to model {plan.model!r} has {there}: "
            f"use {option}"
        )


def learn_only(model: Model, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Marks these as learning, and heads made for the tasks, which nobody has trained yet; all others as not."""
    heads = (parameter for head in model.parts().heads for parameter in head.parameters())
    learning = list(dict.fromkeys((*parameters, *heads)))
    model.module.requires_grad_(False)
    for parameter in learning:
        parameter.requires_grad_(True)
    return learning
