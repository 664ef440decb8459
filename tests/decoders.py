"""A tiny decoder of each architecture, made here: folders as transformers writes them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch

from glue_harness.models.causal_vocabulary import CausalVocabulary, learn_causal_vocabulary
from glue_harness.suite.registry import load_tasks

LLAMA = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48,
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "opt": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 48, "word_embed_proj_dim": 32,
    },
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": {**LLAMA, "head_dim": 8, "tie_word_embeddings": True},
}  # fmt: skip


@cache
def vocabulary() -> CausalVocabulary:
    registry = load_tasks()
    texts = []
    for name in ("mnli", "rte", "copa", "stsb"):
        task = registry.tasks[name]
        for row in task.demo(Random(0), 60):
            texts += [text for example in task.examples(row) for text in (example.inputs, example.target)]
    return learn_causal_vocabulary(texts, 400)


def config_of(kind: str, positions: int = 160) -> Any:
    from transformers import AutoConfig

    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    spread = {"init_std" if kind == "opt" else "initializer_range": 0.2}
    size = {"vocab_size": vocabulary().size, "max_position_embeddings": positions}
    return AutoConfig.for_model(kind, **size, **spread, **SIZES[kind], **ids)


def write_decoder(folder: Path, kind: str, seed: int = 0, positions: int = 160) -> Path:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config_of(kind, positions)).save_pretrained(folder)
    vocabulary().save(folder)
    return folder
