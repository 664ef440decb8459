"""Models whose weights are kept in fewer bits: how they are made, marked on disk, and read back to the same bits.

The folder of such a model is that of its family, and its config.json says under `glue_weights` what was done. 8-bit
weights stand in a file of another name: transformers would read the whole numbers as if they were the weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glue_harness.core.errors import UsageError
from glue_harness.models.int8 import Int8, Int8Embedding, Int8Linear
from glue_harness.models.interface import Model
from glue_harness.models.marks import MARK, kind_in

DYNAMIC, WEIGHT_ONLY, BF16 = "int8-dynamic", "int8-weight-only", "bf16"  # kinds
INT8 = "int8.safetensors"


def compress(model: Model, kind: str, name: str) -> None:
    """Changes the weights in place, to a kind that a plan's `weights` may have; `name` is the model's there."""
    if kind_of(model):
        raise UsageError(f"model {name!r} has compressed weights already: compress the run that it was made of")
    if kind == BF16:
        model.module.to(torch.bfloat16).requires_grad_(False)
        return
    places = list(_matrices(model))
    if not places:
        raise UsageError(
            f"model {name!r} has no matrices that 8-bit weights stand in for (encoders, T5 and Llama's kin "
            "have them): use --bf16"
        )
    for owner, name, part in places:
        made = Int8Linear(part, kind == DYNAMIC) if isinstance(part, nn.Linear) else Int8Embedding(part)
        setattr(owner, name, made)
    model.module.requires_grad_(False)


def _matrices(model: Model) -> Iterator[tuple[nn.Module, str, Any]]:
    """Matrices of the blocks, and the table of words where nothing else reads it; heads and the rest stay floats."""
    parts = model.parts()
    blocks = (part for stack in parts.stacks for block in stack for part in block.modules())
    inside = {id(part) for part in blocks if type(part) is nn.Linear}
    table = parts.embeddings
    if inside and parts.heads and type(table) is nn.Embedding:
        readers = [part for part in model.module.modules() if getattr(part, "weight", None) is table.weight]
        inside |= {id(table)} if readers == [table] else set()
    for owner in list(model.module.modules()):
        yield from ((owner, name, part) for name, part in owner.named_children() if id(part) in inside)


def kind_of(model: Model) -> str | None:
    """What its weights are; None: floats of 32 bits."""
    for part in model.module.modules():
        if isinstance(part, Int8Linear):
            return DYNAMIC if part.dynamic else WEIGHT_ONLY
    return BF16 if any(weight.dtype == torch.bfloat16 for weight in model.module.parameters()) else None


def is_int8(model: Model) -> bool:
    return kind_of(model) in (DYNAMIC, WEIGHT_ONLY)


def undo(model: Model) -> None:
    """Floats again, in 32 bits: for whoever reads no other. The numbers stay those that were scored."""
    for owner in list(model.module.modules()):
        for name, part in owner.named_children():
            if isinstance(part, Int8):
                setattr(owner, name, part.undone())
    model.module.float()


def save(model: Model, folder: Path, kind: str) -> None:
    model.save(folder)
    file = folder / "config.json"
    values = json.loads(file.read_text(encoding="utf-8")) | {MARK: kind}
    file.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if kind != BF16:
        (folder / "model.safetensors").rename(folder / INT8)


def from_pretrained(cls: Any, folder: Path, **how: Any) -> tuple[nn.Module, dict[str, Any]]:
    """A transformers module in fp32, with its report; of 8-bit weights only the module, for its family to fill."""
    kind = kind_in(folder)
    if kind in (None, BF16):
        return cls.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **how)
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    chosen = {name: value for name, value in how.items() if name == "attn_implementation"}
    return cls.from_config(config, dtype=torch.float32, **chosen), {"missing_keys": [], "mismatched_keys": set()}
