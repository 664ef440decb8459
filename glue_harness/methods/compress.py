"""Nothing learns: the model's weights are kept in fewer bits, and it is scored as it is then."""

from torch import nn

from glue_harness.core.errors import UsageError
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
    if {name for name, _ in model.module.named_parameters()} != model.plain:
        raise UsageError(
            f"model {plan.model!r} has parts that its method added: glue export RUN --merged makes one model of a lora "
            "run, which glue run --steps 0 --model DIR makes a run that can be compressed"
        )
    compress(model, plan.weights, plan.model)
    return list(model.module.parameters())
