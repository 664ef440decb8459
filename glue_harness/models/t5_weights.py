"""What is special about weights of the T5 family: which are one matrix, how the head is scaled, whose are of bytes."""

from __future__ import annotations

import json
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
    seen: set[int] = set()
    return {n: w.contiguous() for n, w in weights.items() if not (w.data_ptr() in seen or seen.add(w.data_ptr()))}


def check_embeddings(module: nn.Module, folder: Path) -> None:
    """Both stacks must read the shared matrix: a silent re-initialisation scores like chance."""
    shared = module.shared.weight
    for stack in (module.encoder, module.decoder):
        if stack.embed_tokens.weight.data_ptr() != shared.data_ptr():
            raise GlueError(f"model in {str(folder)!r}: its stacks do not share one embedding matrix")


def reads_bytes(folder: Path) -> bool:
    """ByT5 says what it reads in its configuration only: there is no vocabulary file."""
    file = folder / "tokenizer_config.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("tokenizer_class") == "ByT5Tokenizer"
