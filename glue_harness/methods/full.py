"""All parameters learn."""

from torch import nn

from glue_harness.core.plan import Plan
from glue_harness.methods import learn_only
from glue_harness.models.interface import Model


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    return learn_only(model, model.module.parameters())
