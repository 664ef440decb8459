"""What is special about the weights of the T5 family: which are one matrix, and how the head is scaled."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from glue_harness.core.errors import GlueError


def head_scale(module: nn.Module) -> float:
    """What each family's own forward pass multiplies hidden states by before the head."""
    config = module.config
    scaled = {
        "t5": getattr(config, "scale_decoder_outputs", config.tie_word_embeddings),
        "umt5": config.tie_word_embeddings,
        "mt5": False,
    }[config.model_type]
    return config.d_model**-0.5 if scaled else 1.0


def distinct(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor once, under its first name: T5's `shared.weight`, which every version of transformers ties from."""
    first = {w.data_ptr(): n for n, w in reversed(weights.items())}
    return {n: w.contiguous() for n, w in weights.items() if first[w.data_ptr()] == n}


def check_embeddings(module: nn.Module, folder: Path) -> None:
    """Both stacks must read the shared matrix: a silent re-initialisation scores like chance."""
    shared = module.shared.weight
    for stack in (module.encoder, module.decoder):
        if stack.embed_tokens.weight.data_ptr() != shared.data_ptr():
            raise GlueError(f"model in {str(folder)!r}: its stacks do not share one embedding matrix")
