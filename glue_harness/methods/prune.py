"""Pruning while a model learns: weights become zero until a share of them is left, and those learn on.

A parameter always holds the weight that counts, zero where it is pruned: for whatever saves, scores or exports it, a
pruned run is a plain model with zeros. What a pruned weight was, and how much each is worth, is known here alone, and a
snapshot keeps it for a run that goes on. `torch.nn.utils.prune` would keep two tensors in the place of each weight, by
names that no folder of transformers has.

The share that is left falls by Zhu & Gupta's (2017) cubic schedule. What goes is

    magnitude   the smallest |w|; a pruned weight stays what it was, and comes back when others fall below it
    movement    the smallest S = -sum over the steps of d / size(d), d = dL/dw w: what moved towards zero

size(d) is the root of the running mean of d squared: what counts is how steadily a weight moves. The formula of Sanh
et al. (2020) has no such size, but in their code AdamW moves the scores, which divides by it. Its momentum would only
delay a sum, and a rate changes no order (theirs falls, so that late steps count less; ours does not). Gradients reach S
everywhere, weights only where they are left. Of their ways this is movement pruning, not the soft one, which has a
threshold and a penalty instead of a share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import blocks_of, learn_only
from glue_harness.models.attention_heads import keep_heads
from glue_harness.models.interface import Model
from glue_harness.models.layers import keep_layers
from glue_harness.models.teaching import taught

SETTINGS = (
    Setting(
        "keep",
        float,
        None,
        "Share that is left of what is pruned, for --method prune.",
        "Smaller models",
        above=0,
        most=1,
        needed=True,
        fixed=True,
    ),
    Setting(
        "pruned",
        str,
        "weights",
        "weights: they become zero as it learns; heads or layers: whole ones go first, and the model is smaller; for "
        "--method prune.",
        "Smaller models",
        choices=("weights", "heads", "layers"),
        fixed=True,
    ),
    Setting(
        "score",
        str,
        "magnitude",
        "Which weights go: magnitude, the smallest; movement, what moved towards zero; for --method prune.",
        "Smaller models",
        choices=("magnitude", "movement"),
        fixed=True,
    ),
    Setting(
        "prune_scope",
        str,
        "layer",
        "Where weights are compared: layer, in each matrix; global, in all at once.",
        choices=("layer", "global"),
        fixed=True,
    ),
    Setting("prune_every", int, 10, "Steps between two choices of the weights that are left.", above=0, fixed=True),
    Setting("prune_begin", float, 0.1, "Share of the steps before the first weights go.", least=0, below=1, fixed=True),
    Setting("prune_end", float, 0.7, "Share of the steps after which the last ones go.", above=0, most=1, fixed=True),
    Setting(
        "layers_left",
        str,
        "bottom",
        "Which layers stay: bottom, top, or spread evenly from the lowest, for --set pruned=layers.",
        choices=("bottom", "top", "spread"),
        fixed=True,
    ),
)
loss = taught  # where there is a teacher, as Sanh et al. prune
DECAY, LEAST = 0.999, 1e-8  # AdamW's, of the running mean of squares and of what it is divided by
OF_WEIGHTS = ("score", "prune_scope", "prune_every", "prune_begin", "prune_end")


def added(model: Model, plan: Plan) -> tuple[int, int]:
    """Nothing: but what cannot be pruned is refused before rows are encoded."""
    blocks_of(model, plan)
    said = [name for name in OF_WEIGHTS if plan.pruned != "weights" and name in plan.own]
    said += ["layers_left"] if plan.pruned != "layers" and "layers_left" in plan.own else []
    if said:
        raise UsageError(f"{said[0]} is {plan.own[said[0]]} but {plan.pruned} are pruned: leave it out")
    if plan.prune_begin >= plan.prune_end:
        raise UsageError(f"prune_begin {plan.prune_begin:g} must be below prune_end {plan.prune_end:g}")
    if others := [name for name, _ in model.module.named_parameters() if name not in model.plain]:
        raise UsageError(
            f"model {plan.model!r} has {others[0]}, which a method added to it: prune the model without it"
        )
    return 0, 0


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    """Everything learns. Buffers that no file of weights has hold what is known of each matrix."""
    added(model, plan)
    if plan.pruned == "heads":
        keep_heads(model, plan.keep)
    elif plan.pruned == "layers":
        keep_layers(model, [places_left(len(stack), plan) for stack in model.parts().stacks])
    else:
        for part in matrices(model, plan).values():
            weight = part.weight.detach()
            part.register_buffer("left", torch.ones_like(weight), persistent=False)  # 0 where it is pruned
            part.register_buffer("pruned", torch.zeros_like(weight), persistent=False)  # what it was there; elsewhere 0
            if plan.score == "movement":
                part.register_buffer("movement", torch.zeros_like(weight), persistent=False)
                part.register_buffer("square", torch.zeros_like(weight), persistent=False)
    return learn_only(model, model.module.parameters())


def places_left(layers: int, plan: Plan) -> list[int]:
    """Most is lost without the lowest layers, as Sajjad et al. (2020) found; DistilBERT's student has every other."""
    count = max(1, round(plan.keep * layers))
    return {
        "bottom": list(range(count)),
        "top": list(range(layers - count, layers)),
        "spread": [k * layers // count for k in range(count)],
    }[plan.layers_left]


def matrices(model: Model, plan: Plan) -> dict[str, nn.Module]:
    """What has a matrix of attention or feed-forward: embeddings, norms, biases and heads stay whole."""
    inside = {id(part) for stack in blocks_of(model, plan).stacks for block in stack for part in block.modules()}
    found = {}
    for name, part in model.module.named_modules():
        weight = getattr(part, "weight", None)
        if id(part) in inside and weight is not None and weight.dim() == 2 and not isinstance(part, nn.Embedding):
            found[name] = part
    return found


@torch.no_grad()
def on_gradients(model: Model, plan: Plan, step: int) -> None:
    """Scores hear of every weight, pruned ones too; the optimiser only of those that are left."""
    parts = [part for part in parts_of(model) if part.weight.grad is not None]
    if not parts:
        return
    gradients = [part.weight.grad for part in parts]
    if plan.score == "movement":
        squares = [part.square for part in parts]
        moved = torch._foreach_add([part.weight for part in parts], [part.pruned for part in parts])  # one is zero
        torch._foreach_mul_(moved, gradients)
        torch._foreach_mul_(squares, DECAY)
        torch._foreach_addcmul_(squares, moved, moved, value=1 - DECAY)
        sizes = torch._foreach_sqrt(squares)
        torch._foreach_add_(sizes, LEAST)
        seen = (1 - DECAY ** (step + 1)) ** 0.5  # of so many steps: at first a mean of squares holds little
        torch._foreach_addcdiv_([part.movement for part in parts], moved, sizes, value=-seen)
    torch._foreach_mul_(gradients, [part.left for part in parts])


@torch.no_grad()
def after_step(model: Model, plan: Plan, step: int) -> None:
    """What the optimiser's momentum has done to pruned weights is undone; now and then, others are chosen."""
    if not (parts := parts_of(model)):
        return
    left, pruned = [part.left for part in parts], [part.pruned for part in parts]
    weights = [part.weight for part in parts]
    torch._foreach_mul_(weights, left)
    if not is_due(plan, step + 1):
        return
    torch._foreach_add_(weights, pruned)
    scores = [part.movement if plan.score == "movement" else part.weight.abs() for part in parts]
    torch._foreach_copy_(left, chosen(scores, share_left(plan, step + 1), plan.prune_scope))
    torch._foreach_copy_(pruned, weights)
    torch._foreach_mul_(weights, left)
    torch._foreach_sub_(pruned, weights)


def state(model: Model) -> dict[str, Tensor]:
    own = ("left", "pruned", "movement", "square")
    return {name: value for name, value in model.module.named_buffers() if name.rpartition(".")[2] in own}


def scored_from(plan: Plan) -> int:
    """The first step after which as few are left as the plan wants."""
    if plan.pruned != "weights":
        return 0
    reached = math.ceil(plan.prune_end * plan.steps / plan.prune_every) * plan.prune_every
    return min(plan.steps, reached)


def is_due(plan: Plan, done: int) -> bool:
    """Whether the weights that are left are chosen anew after so many steps: the last step has the right share."""
    return (done % plan.prune_every == 0 or done == plan.steps) and done > plan.prune_begin * plan.steps


def counted(model: Model) -> dict[str, int]:
    return {"nonzero": sum(int(parameter.count_nonzero()) for parameter in model.module.parameters())}


def share_left(plan: Plan, done: int) -> float:
    """After so many steps: keep + (1 - keep) (1 - p)^3, with p the way from prune_begin to prune_end."""
    way = (done / plan.steps - plan.prune_begin) / (plan.prune_end - plan.prune_begin)
    return plan.keep + (1 - plan.keep) * (1 - min(1.0, max(0.0, way))) ** 3


def parts_of(model: Model) -> list[nn.Module]:
    return [part for part in model.module.modules() if "left" in part._buffers]


def chosen(scores: Sequence[Tensor], share: float, scope: str) -> list[Tensor]:
    """Where the largest scores of such a share are, in each of the tensors or in all of them."""
    if scope == "layer":
        return [largest(each.flatten(), share).view_as(each) for each in scores]
    kept = largest(torch.cat([each.flatten() for each in scores]), share)
    sizes = [each.numel() for each in scores]
    return [part.view_as(each) for part, each in zip(kept.split(sizes), scores, strict=True)]


def largest(scores: Tensor, share: float) -> Tensor:
    """Exactly that share of them, at least one; of equals the first ones, so that every machine chooses the same.

    A threshold of all scores: one of a sample would miss the share. numpy finds it in a tenth of torch's time.
    """
    count = max(1, round(share * len(scores)))
    if scores.device.type == "cpu":
        least = scores.new_tensor(np.partition(scores.numpy(), -count)[-count])
        if (kept := scores >= least).count_nonzero() == count:  # a GPU is not asked
            return kept
    else:
        least = scores.topk(count, sorted=False).values.min()  # by many blocks of threads; kthvalue has one
    above, equal = scores > least, scores == least
    return above | (equal & (equal.cumsum(0) <= count - above.sum()))
