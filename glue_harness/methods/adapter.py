"""Adapters as T5 has them: a small residual layer after the feed-forward sub-layer of every block."""

from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import blocks_of, check_added, learn_only
from glue_harness.models.interface import Model

SETTINGS = (
    Setting("adapter_width", int, 128, "Inner size of an adapter, for --method adapter.", "Model", above=0, fixed=True),
    Setting(
        "adapter_trains",
        str,
        "adapters+norms",
        "adapters+norms (T5's paper) or adapters (its code).",
        "Model",
        choices=("adapters+norms", "adapters"),
        fixed=True,
    ),
)
START = 0.1  # spread of what a new adapter adds to a normalised state, whatever its width


class Adapter(nn.Module):
    """x + dropout(W2 dropout(relu(W1 norm(x)))), without biases."""

    def __init__(self, size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(size, eps=1e-6)
        self.down = nn.Linear(size, width, bias=False)
        self.up = nn.Linear(width, size, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.down.weight, std=size**-0.5)
        nn.init.normal_(self.up.weight, std=START * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.dropout(functional.relu(self.down(self.norm(x))))
        return x + self.dropout(self.up(inner))


def added(model: Model, plan: Plan) -> tuple[int, int]:
    parts = model.parts()
    size, without = parts.embeddings.weight.shape[-1], [s for s in parts.feed_forwards if not hasattr(s, "adapter")]
    return len(without) * size * (2 * plan.adapter_width + 1), 0


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    """The paper trains the model's layer norms too; T5's released recipe only what is in the adapters."""
    parts = blocks_of(model, plan)
    size = parts.embeddings.weight.shape[-1]
    learning = list(parts.norms) if plan.adapter_trains == "adapters+norms" else []
    for sub_layer in parts.feed_forwards:
        if hasattr(sub_layer, "adapter"):
            check_added(plan, "adapter_width", sub_layer.adapter.down.out_features)
        else:
            near = (*sub_layer.modules(), *model.module.modules())  # an encoder drops out what is around it
            rate = next((part.p for part in near if isinstance(part, nn.Dropout)), 0.0)
            sub_layer.adapter = Adapter(size, plan.adapter_width, rate)
            # unlike a wrapper, leaves the names of weights as they are
            sub_layer.register_forward_hook(through_adapter)
        learning += sub_layer.adapter.parameters()
    return learn_only(model, learning)


def through_adapter(sub_layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return sub_layer.adapter(output)
