"""Nothing learns: the model's weights are kept in fewer bits, and it is scored as it is then."""

from torch import nn

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.models.compressed import compress
from glue_harness.models.interface import Model

SETTINGS = (
    Setting(
        "weights",
        str,
        "int8-dynamic",
        "What glue compress makes of them.",
        choices=("int8-dynamic", "int8-weight-only", "bf16"),
        fixed=True,
    ),
)


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    compress(model, plan.weights, plan.model)
    return list(model.module.parameters())
