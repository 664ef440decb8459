"""Low-rank updates of the attention's query and value matrices, through peft."""

from torch import nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import learn_only
from glue_harness.models.interface import Model

SETTINGS = (Setting("lora_rank", int, 8, "Rank of the updates, for --method lora.", above=0, fixed=True),)
SCALE = 2  # lora_alpha over the rank


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UsageError("method lora needs peft: pip install 'glue-harness[lora]'") from None
    rank = plan.lora_rank
    config = LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules=list(model.parts().attention))
    inject_adapter_in_model(config, model.module)
    return learn_only(model, [p for name, p in model.module.named_parameters() if "lora_" in name])
