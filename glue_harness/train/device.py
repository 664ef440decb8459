"""Which device and precision a run uses, and why: chosen once, recorded, never changed silently."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan

LAG = 2  # steps: with the third the run stops at a loss that is not finite
COMPILE_PAYS_FROM = 1000  # steps
BF16_PAYS_FROM = 10_000_000  # parameters; below, casting costs more on a CPU than the products save


@dataclass(frozen=True)
class Machine:
    device: torch.device
    precision: str  # bf16 or fp32
    compiled: bool = False

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
        return {**facts, "compiled": self.compiled}


def choose(plan: Plan) -> torch.device:
    """CUDA where there is one, unless the plan says otherwise."""
    has_cuda = torch.cuda.is_available()
    if plan.device == "cuda" and not has_cuda:
        raise UsageError("device cuda: no CUDA device is visible here; use --device cpu")
    return torch.device("cuda" if has_cuda and plan.device != "cpu" else "cpu")


def set_up(plan: Plan, device: torch.device, parameters: int) -> Machine:
    """bf16 where it is exact enough and faster, unless the plan says otherwise."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    precision = plan.precision
    if precision == "auto":
        precision = "bf16" if bf16_pays(device, parameters) else "fp32"
    return Machine(device, precision, compile_pays(plan, device))


def compile_pays(plan: Plan, device: torch.device) -> bool:
    """On a CPU compiled steps are slower; on CUDA graphs take a minute or so to make."""
    if plan.compile == "auto":
        return device.type == "cuda" and plan.steps >= COMPILE_PAYS_FROM
    return plan.compile == "on"


def bf16_pays(device: torch.device, parameters: int) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)  # emulated it is slower than fp32
    return torch.cpu._is_avx512_bf16_supported() and parameters >= BF16_PAYS_FROM
