"""T5s that can be made from scratch: the published shapes, and one that a laptop trains in a minute."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.plan import EARLIER, Plan

if TYPE_CHECKING:
    from glue_harness.models.interface import Model

SHAPES = {
    "tiny": {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2, "num_heads": 4},
    "mini": {"d_model": 256, "d_kv": 64, "d_ff": 1024, "num_layers": 4, "num_heads": 4},
    "small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    "large": {"d_model": 1024, "d_kv": 64, "d_ff": 4096, "num_layers": 24, "num_heads": 16},
}
TINY = "tiny"
FROM_SCRATCH = (TINY, *(f"t5:{size}" for size in SHAPES if size != TINY))


def load_model(plan: Plan, texts: Iterable[str]) -> Model:
    """The plan's model on the CPU. `texts` are the tasks' own, for a vocabulary learned from them."""
    return import_module("glue_harness.models.t5").load(plan, texts)


def check_model(model: str, tokenizer: str | None) -> None:
    """Whether a model's name can be meant: cheap, so that a typo does not wait for torch."""
    if tokenizer and not Path(tokenizer).is_dir():
        raise UsageError(f"tokenizer folder {tokenizer!r} does not exist (--tokenizer)")
    if model in FROM_SCRATCH:
        if model != TINY and not tokenizer:
            raise UsageError(f"{model} starts from scratch: give its vocabulary with --tokenizer DIR")
    elif not model.startswith(EARLIER) and not Path(model).is_dir() and not looks_like_hub_id(model):
        raise unknown("model", model, FROM_SCRATCH)
    elif tokenizer:
        raise UsageError(f"model {model!r} has a vocabulary of its own: leave out --tokenizer")


def looks_like_hub_id(model: str) -> bool:
    """`owner/name`, or one of the Hub's old names without owner, such as `t5-small`."""
    return ":" not in model and not model.startswith((".", "/")) and ("/" in model or "-" in model)
