"""Where a decoder's weights come from and how they are kept: in the layout that transformers' own classes read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.models.causal_vocabulary import CausalVocabulary, learn_causal_vocabulary, load_causal_vocabulary
from glue_harness.models.compressed import from_pretrained
from glue_harness.models.encoder_weights import check_folder
from glue_harness.models.interface import Export

FUNCTIONAL = ("dropout", "attention_dropout")  # rates that modules hold as numbers, not as modules of their own


def from_scratch(plan: Plan, shape: Mapping[str, int], texts: Iterable[str]) -> tuple[nn.Module, CausalVocabulary]:
    """A GPT-2 of that shape."""
    from transformers import AutoModelForCausalLM, GPT2Config

    given = plan.tokenizer
    vocabulary = load_causal_vocabulary(Path(given), plan.model) if given else learn_causal_vocabulary(texts)
    config = GPT2Config(
        vocab_size=max(vocabulary.size, vocabulary.end + 1),
        n_positions=shape["positions"],
        n_embd=shape["hidden_size"],
        n_layer=shape["num_hidden_layers"],
        n_head=shape["num_attention_heads"],
        bos_token_id=vocabulary.end,
        eos_token_id=vocabulary.end,
    )
    return AutoModelForCausalLM.from_config(config), vocabulary


def read(folder: Path, name: str) -> tuple[nn.Module, CausalVocabulary]:
    """The module in a folder, under the name that the plan has for it, and its vocabulary."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    check_folder(folder, name)
    try:
        how = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
        module, report = from_pretrained(AutoModelForCausalLM, folder, **how)
    except (OSError, ValueError, TypeError, RuntimeError, LookupError, SafetensorError) as error:
        raise UsageError(f"model {name!r} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    if report["missing_keys"]:
        raise UsageError(f"model {name!r} lacks weights: {', '.join(sorted(report['missing_keys'])[:3])}")
    if wrong := report.get("mismatched_keys"):
        raise UsageError(f"model {name!r}: its config.json does not fit its weights: {sorted(map(str, wrong))[0]}")
    return module, load_causal_vocabulary(folder, name)


def set_dropout(module: nn.Module, rate: float | None) -> None:
    """The plan's rate also where a module calls dropout as a function."""
    for part in module.modules() if rate is not None else ():
        for name in FUNCTIONAL:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, rate)


def export(module: nn.Module, vocabulary: CausalVocabulary, separator: str, length: int) -> Export:
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = type(module.config).from_dict(module.config.to_dict())
    whole = AutoModelForCausalLM.from_config(config)
    end = vocabulary.end
    whole.generation_config = GenerationConfig(
        max_new_tokens=length, do_sample=False, num_beams=1, eos_token_id=end, pad_token_id=end
    )
    return Export("AutoModelForCausalLM", whole, module.state_dict(), vocabulary.save, behind=separator)
