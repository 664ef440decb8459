"""A tiny model of each architecture, made here: folders as transformers writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from glue_harness import Plan, run
from glue_harness.core.record import Record
from glue_harness.models.pairs import learn_pair_tokenizer

COMMON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
SIZES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"type_vocab_size": 1},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16},
    "mpnet": {},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "modernbert": {"num_hidden_layers": 4, "local_attention": 8, "classifier_pooling": "mean"},
}
TEXTS = ("the old painter is laughing in the school", "some animals sleep near the river", "on monday it rained a lot")


def vocabulary():
    return learn_pair_tokenizer(TEXTS * 20, 200)


def config_of(kind: str, positions: int = 96) -> Any:
    """Positions are those that a sequence may have, whatever the architecture keeps in front of them."""
    from transformers import AutoConfig

    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    shape = {**COMMON, **SIZES.get(kind, {}), "max_position_embeddings": positions + 1}
    if kind == "distilbert":
        shape = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": positions + 1}
    return AutoConfig.for_model(kind, vocab_size=vocabulary().size, initializer_range=0.2, **shape, **ids)


def write_encoder(folder: Path, kind: str, seed: int = 0, positions: int = 96) -> Path:
    from transformers import AutoModel

    torch.manual_seed(seed)
    AutoModel.from_config(config_of(kind, positions)).save_pretrained(folder)
    vocabulary().save(folder)
    return folder


def encoder_run(results: Path, model: str | Path, *tasks: str, **changes: Any) -> Record:
    """A few steps on synthetic rows, on a CPU in fp32."""
    values = {"data": "demo:100", "steps": 6, "eval_every": 3, "batch_size": 12, "max_input": 60, "lr": 3e-3, **changes}
    if "epochs" in changes:
        del values["steps"]
    return run(Plan(tasks, model=str(model), device="cpu", precision="fp32", **values), results=results)
