"""A model with fewer heads in each attention: its matrices are smaller, and so are its files and its passes.

transformers has given up `prune_heads`. What a T5 has of heads, its configuration says. That of an encoder says by the
number of heads how wide one is, so ours keeps that and says beside it how many there are (`HEADS`); a model for
others has zeros where heads are missing, which gives the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.errors import UsageError
from glue_harness.models.bodies import Body, blocks_of
from glue_harness.models.interface import Model

HEADS = "glue_attention_heads"  # in config.json
T5S = ("t5", "mt5", "umt5")
READERS = {  # `model_type` -> names of the matrices that make queries, keys and values
    **dict.fromkeys(("bert", "roberta", "electra"), ("query", "key", "value")),
    "distilbert": ("q_lin", "k_lin", "v_lin"),
    **dict.fromkeys(T5S, ("q", "k", "v")),
}
COUNTS, WIDTHS = ("num_attention_heads", "n_heads"), ("all_head_size", "inner_dim")  # attributes of an attention


class Attention(NamedTuple):
    module: nn.Module
    readers: list[nn.Linear]  # queries, keys, values
    output: nn.Linear
    size: int  # of a head

    @property
    def heads(self) -> int:
        return self.readers[0].out_features // self.size

    @torch.no_grad()
    def worth(self) -> Tensor:
        """Of each head |W_o W_v|, the most that it can add: from weights alone, as filters are pruned by their norms
        (Li et al., 2017). Importance by gradients (Michel et al., 2019) would need rows before training begins."""
        values = self.readers[2].weight.view(self.heads, self.size, -1)
        outputs = self.output.weight.view(-1, self.heads, self.size).transpose(0, 1)
        return (outputs @ values).flatten(1).norm(dim=1)

    @torch.no_grad()
    def keep(self, heads: Tensor) -> None:
        places = (heads[:, None] * self.size + torch.arange(self.size)).flatten()
        for reader in self.readers:
            reader.weight, reader.out_features = nn.Parameter(reader.weight[places]), len(places)
            if reader.bias is not None:
                reader.bias = nn.Parameter(reader.bias[places])
        self.output.weight, self.output.in_features = nn.Parameter(self.output.weight[:, places]), len(places)
        for name in {*COUNTS, *WIDTHS} & vars(self.module).keys():
            setattr(self.module, name, len(heads) if name in COUNTS else len(places))
        table = getattr(self.module, "relative_attention_bias", None)
        if isinstance(table, nn.Embedding):
            table.weight, table.embedding_dim = nn.Parameter(table.weight[:, heads]), len(heads)


def keep_heads(model: Model, share: float) -> None:
    """Leaves that share of the heads in each attention, at least one: those that can add most."""
    config = model.config  # type: ignore[attr-defined]  # groups_of has seen it
    for group in groups_of(model):
        count = max(1, round(share * group[0].heads))
        best = torch.stack([attention.worth() for attention in group]).sum(0).topk(count).indices.sort().values
        for attention in group:
            attention.keep(best)
    if config.model_type not in T5S:
        setattr(config, HEADS, count)
        return
    for part in (model.module, model.module.encoder, model.module.decoder):  # the stacks have copies
        part.config.num_heads = count


def groups_of(model: Model) -> list[list[Attention]]:
    """The attentions of a model, together where the same heads must stay: in a stack of a T5, all layers read one table
    of what each head has learned of distances."""
    parts, config = model.parts(), getattr(model, "config", None)
    kind = getattr(config, "model_type", "")
    if kind not in READERS or config is None:
        known = ", ".join(READERS)
        raise UsageError(f"heads cannot be taken out of model {getattr(model, 'name', '')!r}: only of {known}")
    if kind not in T5S:
        return [[attention_in(block, config, o)] for block, o in zip(parts.stacks[0], parts.attentions, strict=True)]
    own = [[attention_in(block.layer[0], config) for block in stack] for stack in parts.stacks]
    return own + [[attention_in(block.layer[1], config)] for block in parts.stacks[1]]


def attention_in(block: nn.Module, config: Any, output: Any = None) -> Attention:
    names = READERS[config.model_type]
    module = next(part for part in block.modules() if all(hasattr(part, name) for name in names))
    size = config.d_kv if config.model_type in T5S else config.hidden_size // config.num_attention_heads
    return Attention(module, [getattr(module, name) for name in names], output or module.o, size)


def narrow(module: nn.Module, body: Body) -> None:
    """Has an encoder as many heads as its configuration says: any of them, as its weights are yet to come."""
    config = module.config
    for block in blocks_of(module, body):
        attention_in(block, config, block.get_submodule(body.attention)).keep(torch.arange(getattr(config, HEADS)))


def widened(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With zeros for the heads that are missing: they see everything alike, and add nothing of it."""

    def filled(weight: Tensor, shape: torch.Size) -> Tensor:
        missing = [whole - there for there, whole in zip(weight.shape, shape, strict=True)]
        return functional.pad(weight, [n for lacking in reversed(missing) for n in (0, lacking)])

    return {name: filled(weight, wanted[name].shape) if name in wanted else weight for name, weight in weights.items()}
