"""What is special about weights of the T5 family: which are one matrix, how the head is scaled, whose are of bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.models.compressed import from_pretrained
from glue_harness.models.families import shapes_in
from glue_harness.models.tokenizer import EOS, PAD

if TYPE_CHECKING:
    from transformers import GenerationConfig

LARGEST_SIZE = 2**24  # of a T5 in config.json: the largest published one has a vocabulary of 250,112
SIZES = {  # in config.json -> a weight that has it, and at which place of its shape
    "vocab_size": ("shared.weight", 0),
    "d_model": ("shared.weight", 1),
    "d_ff": ("encoder.block.0.layer.1.DenseReluDense.wo.weight", 1),
    "d_kv": ("", 0),  # only with num_heads: it is their product that a weight shows
    "num_heads": ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 1),
    "num_layers": ("", 0),
}


def read_module(folder: Path, name: str) -> nn.Module:
    """The transformers module in a folder, under the name that the plan has for it."""
    from safetensors import SafetensorError
    from transformers import AutoModelForSeq2SeqLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    check_config(folder, name)
    try:
        module, report = from_pretrained(AutoModelForSeq2SeqLM, folder, attn_implementation="sdpa")
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UsageError(f"model {name!r} cannot be loaded: {' '.join(str(error).split())}") from None
    if report["missing_keys"]:
        raise UsageError(f"model {name!r} lacks weights: {', '.join(sorted(report['missing_keys'])[:3])}")
    check_embeddings(module, folder)
    return module


def check_config(folder: Path, name: str) -> None:
    """Sizes that no T5 has, or that are not those of the weights beside them, before anything is built of them."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    there = shapes_in(folder)

    def refuse(size: str, value: object, wanted: str) -> UsageError:
        return UsageError(f"model {name!r} cannot be loaded: its config.json says {size} {value!r}, {wanted}")

    for size, (weight, place) in SIZES.items():
        value = values.get(size)
        if value is None:  # transformers has a default, which the weights may still contradict
            continue
        if type(value) is not int or not 0 < value <= LARGEST_SIZE:
            raise refuse(size, value, f"which must be a whole number from 1 to {LARGEST_SIZE:,}")
        if weight in there and there[weight][place] != value:
            raise refuse(size, value, f"its weights {there[weight][place]:,}")
    inner = there.get("encoder.block.0.layer.0.SelfAttention.q.weight")
    if inner and {"d_kv", "num_heads"} <= values.keys() and values["d_kv"] * values["num_heads"] != inner[0]:
        raise refuse("d_kv", values["d_kv"], f"its weights {inner[0] / values['num_heads']:g} for each of its heads")
    for size, stack in (("num_layers", "encoder"), ("num_decoder_layers", "decoder")):
        blocks = {int(weight.split(".")[2]) for weight in there if weight.startswith(f"{stack}.block.")}
        value = values.get(size) or values.get("num_layers")
        if blocks and value is not None and value != len(blocks):
            raise refuse(size, value, f"its weights have {len(blocks)}")
    start, vocabulary = values.get("decoder_start_token_id"), values.get("vocab_size")
    if start is not None and vocabulary is not None and not (type(start) is int and 0 <= start < vocabulary):
        raise refuse("decoder_start_token_id", start, f"which must be below its vocab_size of {vocabulary:,}")


def head_scale(module: nn.Module) -> float:
    """What each family's own forward pass multiplies hidden states by before the head."""
    config = module.config
    scaled = {
        "t5": getattr(config, "scale_decoder_outputs", config.tie_word_embeddings),
        "umt5": config.tie_word_embeddings,
        "mt5": False,
    }[config.model_type]
    return config.d_model**-0.5 if scaled else 1.0


def greedy(start: int, length: int) -> GenerationConfig:
    """How T5 writes an answer: the best token each time, until the end or so many tokens."""
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=length,
        do_sample=False,
        num_beams=1,
        decoder_start_token_id=start,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )


def check_embeddings(module: nn.Module, folder: Path) -> None:
    """Both stacks must read the shared matrix: a silent re-initialisation scores like chance."""
    shared = module.shared.weight
    for stack in (module.encoder, module.decoder):
        if stack.embed_tokens.weight.data_ptr() != shared.data_ptr():
            raise GlueError(f"model in {str(folder)!r}: its stacks do not share one embedding matrix")
