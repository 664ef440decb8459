"""Adapters as T5 has them: a small residual layer after the feed-forward sub-layer of every block.

`adapter_place = both` puts one after each attention too, before its output is added, as Houlsby et al. (2019) did.
"""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import blocks_of, check_added, lacking, learn_only
from glue_harness.models.dropout import Dropout
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
    Setting(
        "adapter_place",
        str,
        "feed-forward",
        "After feed-forward (T5's), or both: after attentions too (Houlsby's); for --method adapter.",
        choices=("feed-forward", "both"),
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
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.down.weight, std=size**-0.5)
        nn.init.normal_(self.up.weight, std=START * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.dropout(functional.relu(self.down(self.norm(x))))
        return x + self.dropout(self.up(inner))


def places(model: Model, plan: Plan) -> Iterator[tuple[nn.Module, int, float]]:
    """What adapters stand behind, the size of its output, and the dropout of its block."""
    parts, both = blocks_of(model, plan), plan.adapter_place == "both"
    wanted = [*parts.feed_forwards, *(parts.attentions if both else ())]
    if not parts.feed_forwards or (both and not parts.attentions):
        raise lacking(plan, "sub-layers of attention" if parts.feed_forwards else "feed-forward sub-layers")
    rates = {
        part: [p.p for p in block.modules() if isinstance(p, nn.Dropout)][-1:]
        for stack in parts.stacks
        for block in stack
        for part in block.modules()
    }
    for part in wanted:
        yield part, getattr(part, "out_features", parts.embeddings.weight.shape[-1]), sum(rates[part])


def added(model: Model, plan: Plan) -> tuple[int, int]:
    new = (size for part, size, _ in places(model, plan) if not hasattr(part, "adapter"))
    return sum(size * (2 * plan.adapter_width + 1) for size in new), 0


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    """The paper trains the model's layer norms too; T5's released recipe only what is in the adapters."""
    learning = list(model.parts().norms) if plan.adapter_trains == "adapters+norms" else []
    for part, size, rate in list(places(model, plan)):
        if hasattr(part, "adapter"):  # of the run that it starts from
            check_added(plan, "adapter_width", part.adapter.down.out_features)
        else:
            part.adapter = Adapter(size, plan.adapter_width, rate)
            part.register_forward_hook(through_adapter)  # unlike a wrapper, leaves the names of weights as they are
        learning += part.adapter.parameters()
    return learn_only(model, learning)


def through_adapter(part: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return part.adapter(output)
