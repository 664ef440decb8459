"""Which device and precision a run uses, and why: chosen once, recorded, never changed silently."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.train.ranks import ALONE, Ranks, joined

LAG = 2  # steps: with the third the run stops at a loss that is not finite
COMPILE_PAYS_FROM = 1000  # steps: t5:base's graphs take 5.6 s to make, and should save 25 ms a step, or a quarter of it
WHOLE_ONLY = ("bf16_weights", "cuda_graphs", "compile")  # settings that want a weight to stay where it is
BF16_PAYS_FROM = 10  # million parameters; below, casting costs more on a CPU than the products save


@dataclass(frozen=True)
class Machine:
    device: torch.device
    precision: str  # bf16 or fp32
    compiled: bool = False
    ranks: Ranks = ALONE  # the processes that share the run
    sharded: bool = False  # whether they keep the model's blocks between them

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def lag(self) -> int:
        """Steps by which the loop lets a measurement come later rather than wait for it."""
        return LAG if self.on_gpu else 0

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """bf16 products over fp32 weights; never fp16, in which T5 overflows."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def describe(self) -> dict[str, object]:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        facts = {"device": name, "precision": self.precision, "threads": torch.get_num_threads()}
        return {**facts, "compiled": self.compiled, **({"sharded": True} if self.sharded else {})}


def settled(plan: Plan, millions: float | None) -> Plan:
    """The plan with the precision that it will be run in, which is part of the experiment.

    bf16 where it is exact enough and faster. `millions` of parameters; None: a model of the Hub, where all are large.
    """
    if plan.precision != "auto":
        return plan
    if choose(plan).type == "cuda":
        pays = torch.cuda.is_bf16_supported(including_emulation=False)  # emulated it is slower than fp32
    else:
        pays = torch.cpu._is_avx512_bf16_supported() and (millions is None or millions >= BF16_PAYS_FROM)
    return plan.replace(precision="bf16" if pays else "fp32")


def choose(plan: Plan) -> torch.device:
    """CUDA where there is one, unless the plan says otherwise."""
    has_cuda = torch.cuda.is_available()
    if plan.device == "cuda" and not has_cuda:
        raise UsageError("device cuda: no CUDA device is visible here; use --device cpu")
    return torch.device("cuda" if has_cuda and plan.device != "cpu" else "cpu")


def check(plan: Plan, machine: Machine) -> None:
    """Refuses what makes training faster, or models smaller, elsewhere only."""
    if machine.sharded and machine.ranks.size == 1:
        raise UsageError("shard is on but one process carries this run out: add --processes N, or --shard off")
    if machine.sharded and (unlike := [name for name in WHOLE_ONLY if getattr(plan, name) == "on"]):
        raise UsageError(f"shard is on and so is {unlike[0]}, which needs whole weights: use --set {unlike[0]}=off")
    if plan.bf16_weights == "on" and machine.precision != "bf16":
        raise UsageError(f"bf16_weights is on but the precision is {machine.precision}: use --set bf16_weights=off")
    if plan.cuda_graphs == "on" and not machine.on_gpu:
        raise UsageError(f"cuda_graphs is on but the device is {machine.device.type}: use --set cuda_graphs=off")


def set_up(plan: Plan) -> Machine:
    """The plan's device in its precision. On a CPU compiled steps are slower; on CUDA graphs take a while to make."""
    device = choose(plan)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.set_float32_matmul_precision("high")
        # cuDNN's attention gave NaN gradients at some lengths (pytorch #196678) and, before pytorch #174245, rounded
        # dropout's scale; where a bias learns it is refused anyway, so that answers would use another kernel
        torch.backends.cuda.enable_cudnn_sdp(False)
    sharded = plan.shard == "on"
    pays = on_gpu and plan.steps >= COMPILE_PAYS_FROM and not sharded
    compiled = pays if plan.compile == "auto" else plan.compile == "on"
    return Machine(device, settled(plan, None).precision, compiled, joined(), sharded)
