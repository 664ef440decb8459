"""All parameters learn."""

from torch import nn

from glue_harness.models import Model
from glue_harness.plan import Plan


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    for parameter in model.module.parameters():
        parameter.requires_grad_(True)
    return list(model.module.parameters())
