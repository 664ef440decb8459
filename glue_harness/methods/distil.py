"""Distillation: a student learns what its teacher makes of each training example, beside the labels.

All parameters learn. The soft loss is that of Hinton et al. (2015), see models/teaching.py; alpha and the temperature
are those with which DistilBERT is fine-tuned under a teacher (Sanh et al., 2019; `run_squad_w_distillation.py`).
"""

from torch import Tensor, nn

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.methods import learn_only
from glue_harness.models.interface import BESIDE, Model
from glue_harness.models.layers import every_other, keep_layers
from glue_harness.models.matching import match
from glue_harness.models.teaching import taught

SETTINGS = (
    Setting("teacher", str, None, "Whose answers are learned: a run, run:RUN@TASK or a folder; for --method distil.",
            "Smaller models", optional=True, needed=True, fixed=True, others=("prune",)),
    Setting("alpha", float, 0.5, "Share of the loss that is the teacher's; the rest is the labels'.", "Smaller models",
            least=0, most=1, others=("prune",)),
    Setting("temperature_of_teacher", float, 2.0, "T: flattens what teacher and student say when above 1.",
            "Smaller models", above=0, others=("prune",)),
    Setting("match", str, "none", "Inner states too, of two encoders of one vocabulary: none, tinybert or minilm.",
            "Smaller models", choices=("none", "tinybert", "minilm"), fixed=True),
    Setting("student", str, "as-is", "as-is, or every-other-layer: --model or the teacher without each second layer.",
            "Smaller models", choices=("as-is", "every-other-layer"), fixed=True),
)  # fmt: skip

loss = taught


def prepare(model: Model, plan: Plan) -> list[nn.Parameter]:
    if plan.student == "every-other-layer":
        keep_layers(model, every_other(model))
    if plan.match != "none":
        match(model, plan.match)
    return learn_only(model, model.module.parameters())


def state(model: Model) -> dict[str, Tensor]:
    """What turns a student's states into such of the teacher's size. It learns, but is no part of the model."""
    beside = getattr(model.module, BESIDE, None)
    return {name: weight.detach() for name, weight in beside.named_parameters()} if beside else {}
