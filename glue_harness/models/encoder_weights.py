"""Where an encoder's weights come from and how they are kept: in the layout that transformers' own classes read.

The encoder's weights have the names that transformers gives them in a class with a head, so that `AutoModel` loads the
folder; the heads' stand beside them under `glue_heads.`, and what they are for in `glue_heads` of config.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.plan import Plan
from glue_harness.models.attention_heads import HEADS as NARROW
from glue_harness.models.attention_heads import narrow, widened
from glue_harness.models.bodies import body_of
from glue_harness.models.compressed import BF16, from_pretrained
from glue_harness.models.heads import CLASSES, Facts, class_of, output_layer, take_best, take_over
from glue_harness.models.interface import BESIDE, Export
from glue_harness.models.marks import kind_in
from glue_harness.models.pairs import PairTokenizer, learn_pair_tokenizer, load_pair_tokenizer
from glue_harness.models.weight_files import WEIGHTS, distinct, read_weights

HEADS = "glue_heads"
POOLER = "pooler"  # weights that a pre-trained encoder may lack: its pooling belongs to the heads
FINE_TUNED = {
    "ForSequenceClassification": ("label", "number"),
    "ForMultipleChoice": ("choice",),
    "ForQuestionAnswering": ("span",),
}


class Source(NamedTuple):
    """What a folder has of an encoder."""

    folder: Path
    body: nn.Module
    tokenizer: PairTokenizer
    heads: dict[str, Facts]  # that we trained with it
    pooler: dict[str, Tensor]  # the encoder's own, by the names that it has in a head

    def take_head(self, head: nn.Module, task: str, facts: Facts) -> str:
        """Weights of a head that was trained before, by us or by a class of transformers; says which."""
        take_over(head, self.pooler, outputs=False)
        taken = take_best(head, task, facts, self.heads, lambda name: head_weights(self.folder, name))
        if taken:
            return taken
        return "made anew" if self.heads else self.take_fine_tuned(head, task, facts)

    def take_fine_tuned(self, head: nn.Module, task: str, facts: Facts) -> str:
        """The head of a model that one of transformers' own classes fine-tuned."""
        config, prefix = self.body.config, f"{self.body.base_model_prefix}."
        made = (getattr(config, "architectures", None) or [""])[0]
        if not any(made.endswith(end) and facts.kind in kinds for end, kinds in FINE_TUNED.items()):
            return ""
        weights = {n: w for n, w in read_weights(self.folder).items() if "pooler" in n or not n.startswith(prefix)}
        if facts.kind == "label":
            order = label_order(config, facts.choices)
            if order is None:
                take_over(head, weights, outputs=False)
                return f"of {made}, its output layer made anew: its labels are not those of {task}"
            last, _ = output_layer(head)
            weights |= {name: weights[name][order] for name in (f"{last}.weight", f"{last}.bias") if name in weights}
        return f"of {made}" if take_over(head, weights, outputs=True) == "whole" else ""


def from_scratch(plan: Plan, shape: Mapping[str, int], texts: Iterable[str]) -> tuple[nn.Module, PairTokenizer]:
    from transformers import AutoModel, BertConfig, ModernBertConfig

    tokenizer = load_pair_tokenizer(Path(plan.tokenizer), plan.model) if plan.tokenizer else learn_pair_tokenizer(texts)
    kind, ids = BertConfig, {"pad_token_id": tokenizer.pad}
    if plan.model.startswith("modernbert"):
        first, last = tokenizer.tokenizer.cls_token_id, tokenizer.tokenizer.sep_token_id
        kind = ModernBertConfig
        ids |= {"cls_token_id": first, "bos_token_id": first, "sep_token_id": last, "eos_token_id": last}
    body = AutoModel.from_config(kind(vocab_size=tokenizer.size, **shape, **ids))
    without_pooler(body)
    return body, tokenizer


def read(folder: Path, name: str) -> Source:
    """An encoder, its vocabulary, and what it has of heads."""
    check_folder(folder, name)
    body, fresh = read_body(folder, name)
    tokenizer = load_pair_tokenizer(folder, name)
    heads = heads_of(folder)
    own = {} if fresh else {n: w for n, w in body.state_dict().items() if n.startswith(POOLER)}
    pooler = {f"{body.base_model_prefix}.{n}": w for n, w in own.items()}
    without_pooler(body)
    return Source(folder, body, tokenizer, heads, pooler)


def heads_of(folder: Path) -> dict[str, Facts]:
    """The heads that a folder of ours says it has."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {task: Facts(**facts) for task, facts in (values.get(HEADS) or {}).items()}


def label_order(config: Any, choices: list[str]) -> list[int] | None:
    """The numbers that a fine-tuned model gives our labels, by their names; None where it does not name them so."""
    named = {str(name).lower().replace("-", "_"): int(k) for k, name in (config.id2label or {}).items()}
    wanted = [choice.lower().replace("-", "_") for choice in choices]
    return [named[choice] for choice in wanted] if set(named) == set(wanted) else None


def check_folder(folder: Path, name: str) -> None:
    """What must not be loaded: code of the model's own, weights that are a program."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if values.get("auto_map"):
        raise UsageError(f"model {name!r} wants to run code of its own (auto_map in config.json): that is never done")
    if not list(folder.glob("*.safetensors")):
        if list(folder.glob("*.bin")):
            load = f"from transformers import AutoModel as A; A.from_pretrained({str(folder)!r})"
            raise UsageError(
                f"model {name!r} has its weights as a pickle, which could run anything: if you trust it, "
                f'python -c "{load}.save_pretrained({str(folder)!r})"'
            )
        raise UsageError(f"model {name!r} has no weights: {str(folder)!r} has no .safetensors file")


def read_body(folder: Path, name: str) -> tuple[nn.Module, bool]:
    """The encoder in a folder, and whether its pooling is fresh because the folder has none."""
    from safetensors import SafetensorError
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if json.loads((folder / "config.json").read_text(encoding="utf-8")).get(NARROW):
        return read_narrow(folder, name), True
    try:
        how = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
        body, report = from_pretrained(AutoModel, folder, **how)
    except (OSError, ValueError, TypeError, RuntimeError, LookupError, SafetensorError) as error:
        raise UsageError(f"model {name!r} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    missing = [key for key in report["missing_keys"] if POOLER not in key]
    if missing:
        raise UsageError(f"model {name!r} lacks weights: {', '.join(sorted(missing)[:3])}")
    if wrong := report.get("mismatched_keys"):
        raise UsageError(f"model {name!r}: its config.json does not fit its weights: {sorted(map(str, wrong))[0]}")
    return body, bool(report["missing_keys"])


def read_narrow(folder: Path, name: str) -> nn.Module:
    """An encoder of ours that has fewer heads than transformers can say."""
    from transformers import AutoConfig, AutoModel

    body = AutoModel.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    without_pooler(body)
    narrow(body, body_of(body.config, name))
    if kind_in(folder) not in (None, BF16):
        return body  # 8-bit weights are filled in when the whole model stands
    prefix = f"{body.base_model_prefix}."
    weights = {n.removeprefix(prefix): w for n, w in read_weights(folder).items() if n.startswith(prefix)}
    try:
        body.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"model {name!r} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    return body


def without_pooler(body: nn.Module) -> None:
    """Pooling is a head's own matter: each task starts with the encoder's and trains its copy."""
    if hasattr(body, "pooler"):
        body.pooler = None


def save(module: nn.Module, folder: Path) -> None:
    from safetensors.torch import save_file

    prefix = module.body.base_model_prefix
    weights = {f"{prefix}.{name}": weight for name, weight in module.body.state_dict().items()}
    weights |= {f"{HEADS}.{name}": weight for name, weight in module.heads.state_dict().items()}
    save_file(distinct(weights), str(folder / WEIGHTS), metadata={"format": "pt"})


def save_config(config: Any, heads: Mapping[str, Any], folder: Path) -> None:
    """As transformers writes it, for the encoder alone, and beside it what the heads are for."""
    config.save_pretrained(folder)
    file = folder / "config.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    values.pop("architectures", None)
    file.write_text(json.dumps({**values, HEADS: dict(heads)}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load(module: nn.Module, folder: Path) -> None:
    """Weights that `save` wrote, into the same model."""
    prefix = f"{module.body.base_model_prefix}."
    names = {f"{HEADS}.": "heads.", prefix: "body."}
    found = {
        next(ours + name.removeprefix(theirs) for theirs, ours in names.items() if name.startswith(theirs)): weight
        for name, weight in read_weights(folder).items()
    }
    missing, unexpected = module.load_state_dict(found, strict=False)
    own = {name: weight for name, weight in module.state_dict().items() if not name.startswith(f"{BESIDE}.")}
    if unexpected or set(missing) & distinct(own).keys():
        raise GlueError(f"weights in {str(folder)!r} are those of another model: {[*missing, *unexpected][:3]}")


def export(module: nn.Module, config: Any, tokenizer: PairTokenizer, task: str, facts: Facts) -> Export:
    """The encoder and one head as the class whose head it is, which then says what its numbers mean."""
    if facts.kind == "marks":
        raise UsageError(
            f"{task} is answered from the states of marked words, which no class of transformers does: use glue predict"
        )
    own = {
        name: value for name, value in config.to_dict().items() if name not in (HEADS, NARROW)
    }  # not our way of attention either
    whole = class_of(type(config).from_dict(own), facts.kind, facts.outputs, device="cpu")
    names = {"label": facts.choices, "number": [task]}.get(facts.kind, [])
    if names:
        whole.config.problem_type = "single_label_classification" if facts.kind == "label" else "regression"
        whole.config.id2label = {**whole.config.id2label, **dict(enumerate(names))}
        whole.config.label2id = {name: k for k, name in whole.config.id2label.items()}
    prefix, head = f"{module.body.base_model_prefix}.", module.heads[task].state_dict()
    body = {f"{prefix}{name}": weight for name, weight in module.body.state_dict().items()}
    parts = dict.fromkeys(name.removeprefix(prefix).partition(".")[0] for name in head)
    weights, remark = {**body, **head}, ""
    if hasattr(config, NARROW):
        weights = widened(weights, whole.state_dict())
        left = f"{getattr(config, NARROW)} of {config.num_attention_heads} heads are left in each attention"
        remark = f"{left}: the others are zeros here, as this class has no place for fewer."
    return Export(CLASSES[facts.kind].__name__, whole, weights, tokenizer.save, tuple(parts), remark=remark)


def head_weights(folder: Path, task: str) -> dict[str, Tensor]:
    start = f"{HEADS}.{task}."
    return {n.removeprefix(start): w for n, w in read_weights(folder).items() if n.startswith(start)}
