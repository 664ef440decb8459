"""Low-rank updates of the attention's query and value matrices, through peft."""

from collections.abc import Collection
from typing import Any

from torch import nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import blocks_of, check_added, lacking, learn_only
from glue_harness.models.interface import Export, Model

SETTINGS = (Setting("lora_rank", int, 8, "Rank of the updates, for --method lora.", above=0, fixed=True),)
SCALE = 2  # lora_alpha over the rank


def added(model: Model, plan: Plan) -> tuple[int, int]:
    """Two matrices beside each query and value matrix: rank x its inputs, its outputs x rank."""
    if ranks_in(model):
        return 0, 0
    names = tuple(model.parts().attention)
    if not names:
        raise lacking(plan, "attention")
    changed = (part.weight for name, part in model.module.named_modules() if name.rpartition(".")[2] in names)
    return sum(plan.lora_rank * sum(weight.shape) for weight in changed), 0


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UsageError("method lora needs peft: pip install 'glue-harness[lora]'") from None
    rank, attention = plan.lora_rank, list(blocks_of(model, plan).attention)
    if there := ranks_in(model):
        check_added(plan, "lora_rank", there[0])
    else:
        turned = are_turned(model.module, attention)
        config = LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules=attention, fan_in_fan_out=turned)
        inject_adapter_in_model(config, model.module)
    return learn_only(model, [p for name, p in model.module.named_parameters() if "lora_" in name])


def are_turned(module: nn.Module, names: Collection[str]) -> bool:
    """Whether these matrices stand with their inputs first, as GPT-2's do."""
    return any(type(part).__name__ == "Conv1D" for n, part in module.named_modules() if n.rpartition(".")[2] in names)


def ranks_in(model: Model) -> list[int]:
    """The rank of each update that is there already."""
    return [len(matrix) for name, matrix in model.module.named_parameters() if "lora_A" in name]


def as_peft(export: Export, plan: Plan, kind: str | None) -> Any:
    """The updates beside the base's matrices, and the task's head as a module that is saved whole."""
    from peft import LoraConfig, get_peft_model

    updates = {name: weight for name, weight in export.weights.items() if "lora_" in name}
    changed = {name.partition(".lora_")[0] for name in updates}
    base = {name.replace(".base_layer.", "."): w for name, w in export.weights.items() if name not in updates}
    export.fill(base)
    names = sorted({name.rpartition(".")[2] for name in changed})
    config = LoraConfig(
        r=plan.lora_rank,
        lora_alpha=SCALE * plan.lora_rank,
        target_modules=names,
        fan_in_fan_out=are_turned(export.whole, names),
        modules_to_save=list(export.heads) or None,
        task_type=kind,
    )
    made = get_peft_model(export.whole, config)
    unknown = made.get_base_model().load_state_dict(updates, strict=False).unexpected_keys
    assert not unknown, f"peft has no place for {unknown[:3]}"
    return made
