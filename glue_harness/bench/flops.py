"""How much arithmetic a model needs for a text, counted exactly, and how much of it a GPU could do."""

from __future__ import annotations

import re
from typing import Any

import torch

TRAINING = 3  # times the forward pass: the backward pass makes two products of each
FORMULA = (
    "FLOPs of a forward pass = 2 x products; for n input and m target tokens, each without padding, "
    "d = d_model, i = heads x d_kv, f = (2, or 3 if gated) x d x d_ff: "
    "encoder layers x (n x (4di + f) + 2nni) + decoder layers x (m x (6di + f) + n x 2di + 2mmi + 2mni) + m x d x "
    f"vocabulary; training = {TRAINING} x forward"
)
PEAKS = {  # of NVIDIA's data sheets: dense bf16 products per second, twice those of TF32
    r"H100 PCIe": 756e12,
    r"H[12]00": 989e12,
    r"A100": 312e12,
    r"L4": 121e12,
    r"RTX 4090": 165e12,
}


def forward_flops(config: Any, inputs: int, targets: int) -> int:
    """FORMULA for one example. Sums, norms, softmax and look-ups are not products and do not count."""
    d, inner = config.d_model, config.num_heads * config.d_kv
    feed_forward = (3 if config.is_gated_act else 2) * d * config.d_ff
    encoder = inputs * (4 * d * inner + feed_forward) + 2 * inputs**2 * inner
    decoder = targets * (6 * d * inner + feed_forward) + inputs * 2 * d * inner
    decoder += 2 * targets**2 * inner + 2 * targets * inputs * inner
    head = targets * d * config.vocab_size
    return 2 * (config.num_layers * encoder + config.num_decoder_layers * decoder + head)


def peak_flops(device: torch.device, precision: str) -> float | None:
    """What the device could do in a second; None where no data sheet is known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peak = next((peak for model, peak in PEAKS.items() if re.search(rf"\b{model}\b", name)), None)
    return peak and (peak if precision == "bf16" else peak / 2)
