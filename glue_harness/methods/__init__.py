"""Fine-tuning methods: one file each, named after itself, that says which parameters learn."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from glue_harness.core.errors import unknown

if TYPE_CHECKING:
    from torch import nn

    from glue_harness.core.plan import Plan
    from glue_harness.models.interface import Model

METHODS = tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_")))


class Method(Protocol):
    """What a file here defines. `on_step` is optional."""

    def prepare(self, model: Model, plan: Plan) -> list[nn.Parameter]:
        """Marks what learns (`requires_grad`) and returns all that ever will."""

    def on_step(self, model: Model, plan: Plan, step: int) -> None:
        """Called before each step, for methods that change what learns over time."""


def load_method(name: str) -> Method:
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return import_module(f"{__name__}.{name}")


def learn_only(model: Model, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Marks these as learning and all others as not."""
    learning = list(parameters)
    model.module.requires_grad_(False)
    for parameter in learning:
        parameter.requires_grad_(True)
    return learning
