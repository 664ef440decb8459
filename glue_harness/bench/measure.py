"""Contestants that do the same work, timed in turn: whatever else loads the machine slows all of them."""

from __future__ import annotations

import ctypes
import gc
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

import torch

from glue_harness.train.device import Machine

TRAINING = 3  # times the forward pass: the backward pass makes two products of each
FORMULA = (
    "FLOPs of a forward pass = 2 x products; for n input and m target tokens, each without padding, "
    "d = d_model, i = heads x d_kv, f = (2, or 3 if gated) x d x d_ff: "
    "encoder layers x (n x (4di + f) + 2nni) + decoder layers x (m x (6di + f) + n x 2di + 2mmi + 2mni) + m x d x "
    "vocabulary; of an encoder the encoder's part, of a decoder this with n the question and its answer, and m x d x "
    f"vocabulary; training = {TRAINING} x forward"
)
WIDE = ("intermediate_size", "hidden_dim", "ffn_dim", "n_inner")  # inner size of a block, by architecture
GATED = ("modernbert", "llama", "qwen2", "qwen3")
# Dense bf16 products per second, twice those of TF32, of NVIDIA's data sheets.
PEAKS = {r"H100 PCIe": 756e12, r"H[12]00": 989e12, r"A100": 312e12, r"L4": 121e12, r"RTX 4090": 165e12}


@dataclass(frozen=True)
class Contestant:
    """One way of doing the work."""

    name: str
    does: str  # in a line
    padded: int  # input tokens that the model sees, padding included
    run: Callable[[], float]  # does it once, from the same start, and tells the seconds that count


def measure(
    contestants: Sequence[Contestant], repeats: int, machine: Machine, encoded: Sequence[Any], flops: int | None = None
) -> dict[str, Any]:
    """What each did at which speed, and the first one's speed over every other's: the median of the rounds' ratios.

    All warm up, which on CUDA compiles; then they take turns, and who begins changes from round to round.
    """
    warm_up = {one.name: one.run() for one in contestants}
    seconds: dict[str, list[float]] = {name: [] for name in warm_up}
    memory: dict[str, list[int]] = {name: [] for name in warm_up}
    turns = deque(contestants)
    for _ in range(repeats):
        for one in turns:
            gc.collect()
            held = watch_memory(machine.device)
            seconds[one.name].append(one.run())
            memory[one.name] += [held()] if held else []
        turns.rotate(-1)
    ours, *others = warm_up
    inputs, tokens = (sum(e.length for e in encoded), sum(sum(e.sizes) for e in encoded))
    peak = peak_flops(machine.device, machine.precision)
    sides: dict[str, dict[str, Any]] = {}
    for one in contestants:
        usual = median(seconds[one.name])
        sides[one.name] = {
            "does": one.does,
            "seconds": usual,
            "all_seconds": seconds[one.name],
            "warm_up_seconds": max(0.0, warm_up[one.name] - usual),
            "tokens_per_second": tokens / usual,
            "padding": 1 - inputs / one.padded,
            "peak_bytes": max(memory[one.name], default=None),
        }
        if flops:
            sides[one.name] |= {"flops_per_second": flops / usual, "mfu": peak and flops / usual / peak}
    ratios = {f"vs_{name}": median(map(truediv, seconds[name], seconds[ours])) for name in others}
    return {**ratios, "examples": len(encoded), "sides": sides}


def now(device: torch.device) -> float:
    """Seconds, when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def watch_memory(device: torch.device) -> Callable[[], int] | None:
    """Tells, when called, the most bytes held since beyond those held now; None where the system does not say."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        return lambda: torch.cuda.max_memory_allocated(device) - before
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # else what an earlier run freed counts as held
        Path("/proc/self/clear_refs").write_text("5")  # clears the resident peak, see proc(5)
    except OSError:
        return None

    def resident(what: str) -> int:
        return 1024 * int(re.findall(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())[0])

    before = resident("VmRSS")
    return lambda: max(0, resident("VmHWM") - before)


def forward_flops(config: Any, inputs: int, targets: int = 0) -> int:
    """FORMULA for one example. Sums, norms, softmax and look-ups are not products and do not count."""
    if not hasattr(config, "d_model"):  # one stack; heads of encoders are small
        d, layers = config.hidden_size, config.num_hidden_layers
        wide = next((n for name in WIDE if (n := getattr(config, name, None))), 4 * d)
        gates = 3 if config.model_type in GATED else 2
        shared = getattr(config, "num_key_value_heads", config.num_attention_heads) / config.num_attention_heads
        inner = config.num_attention_heads * getattr(config, "head_dim", d // config.num_attention_heads)
        products = inputs * (2 * (1 + shared) * d * inner + gates * d * wide) + 2 * inputs**2 * inner
        return round(2 * (layers * products + targets * d * config.vocab_size))
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


class PartClock:
    """Gives every moment to the innermost phase under way. It waits for a GPU wherever a phase begins or ends."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.thread = device, threading.get_ident()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.open = ["other"]
        self.since = now(device)

    def take(self) -> Mapping[str, float]:
        """What was counted since the last time."""
        self.count()
        taken, self.seconds = self.seconds, defaultdict(float)
        return taken

    def count(self) -> None:
        before, self.since = self.since, now(self.device)
        self.seconds[self.open[-1]] += self.since - before

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() != self.thread:  # made beside the steps, it takes none of their time
                return function(*arguments, **named)
            self.count()
            self.open.append(phase)
            try:
                return function(*arguments, **named)
            finally:
                self.count()
                self.open.pop()

        return call
