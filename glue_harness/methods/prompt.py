"""A soft prompt (Lester et al., 2021): vectors in front of the encoder's input learn, the model stays as it is."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import blocks_of, check_added, learn_only
from glue_harness.models.interface import Export, Model

SETTINGS = (Setting("prompt_length", int, 20, "Vectors of a prompt, for --method prompt.", above=0, fixed=True),)
COMMON = 5000  # the prompt starts as so many of the vocabulary's first tokens, which are the frequent ones
SPECIAL = 3  # padding, end, unknown


def added(model: Model, plan: Plan) -> tuple[int, int]:
    if hasattr(model.parts().reader, "prompt"):
        return 0, model.prompt_length
    return plan.prompt_length * blocks_of(model, plan).embeddings.weight.shape[-1], plan.prompt_length


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    parts = blocks_of(model, plan)
    reader, embeddings = parts.reader, parts.embeddings.weight
    if hasattr(reader, "prompt"):  # of the run that it starts from
        check_added(plan, "prompt_length", len(reader.prompt))
        return learn_only(model, [reader.prompt])
    random = torch.Generator().manual_seed(plan.seed)
    tokens = torch.randint(SPECIAL, min(COMMON, len(embeddings)), (plan.prompt_length,), generator=random)
    reader.prompt = nn.Parameter(embeddings[tokens.to(embeddings.device)].detach().clone())
    model.prompt_length = plan.prompt_length

    def forward(ids: Tensor) -> Tensor:
        of_tokens = functional.embedding(ids.clamp(min=0), parts.embeddings.weight)
        of_prompt = functional.embedding((-1 - ids).clamp(min=0), reader.prompt).to(of_tokens.dtype)
        return torch.where(ids[..., None] < 0, of_prompt, of_tokens)

    parts.embeddings.forward = forward  # unlike a wrapper, leaves the names of weights as they are
    return learn_only(model, [reader.prompt])


def as_peft(export: Export, plan: Plan, kind: str | None) -> Any:
    """peft puts the vectors in front of all tokens, as we do; but there a head reads the first vector, not a token."""
    from peft import PromptTuningConfig, get_peft_model

    if export.heads:
        raise UsageError(
            "a prompt in front of an encoder cannot be exported: peft's heads read the prompt itself, ours the token "
            "behind it; glue predict and glue submit serve this run"
        )
    (name,) = [name for name in export.weights if name.endswith(".prompt")]
    export.fill({other: weight for other, weight in export.weights.items() if other != name})
    # of an encoder-decoder, peft would count the decoder's tokens too
    config = PromptTuningConfig(num_virtual_tokens=plan.prompt_length, num_transformer_submodules=1, task_type=kind)
    made = get_peft_model(export.whole, config)
    made.prompt_encoder["default"].embedding.load_state_dict({"weight": export.weights[name]})
    return made
