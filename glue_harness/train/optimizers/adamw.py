"""AdamW, in torch's own fused form."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting

SETTINGS = (Setting("weight_decay", float, 0.0, "Decay of the weights, for --optimizer adamw.", least=0),)


def make(plan: Plan, parameters: list[nn.Parameter]) -> Optimizer:
    return torch.optim.AdamW(parameters, lr=plan.lr, weight_decay=plan.weight_decay, fused=True)
