"""A CUDA device that is not there, and a watch over what code would have done to it.

Three things together: a small library (fake_cuda.cpp) that makes torch believe in a device, torch's fake tensors, which
have a shape, a type and a device but no content, and a dispatch mode that sees every operation. What it can tell:
tensors on the wrong device, copies and reads that would make the host wait, types under autocast, launches. What it
cannot: numbers, which attention kernel is chosen, memory, speed. For a process of its own: nothing undoes the library.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import safetensors.torch
import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
GUARD = Path(__file__).with_suffix(".cpp")
KNOWN = ("2.13",)  # versions of torch whose private parts this was written for
MEMORY = 80 * 2**30  # bytes of the device that is not there
PACKAGE = "glue_harness"

PRODUCTS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm, aten._scaled_dot_product_efficient_attention}  # in bf16
NO_LAUNCH = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten._unsafe_view}
NO_LAUNCH |= {aten.detach, aten.lift_fresh, aten._reshape_alias, aten.is_same_size}
READS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero}
LISTS_A_LAUNCH = (110, 64, 48, 36, 30)  # tensors that one launch of a foreach kernel takes, by the number of its lists


def build(folder: Path) -> Path:
    """The guard as a library, in a second or a few."""
    library, home = folder / "guard.so", Path(torch.__file__).parent
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    options = ["-std=c++20", "-O0", "-shared", "-fPIC", abi, f"-I{home}/include", f"-L{home}/lib"]
    made = ["-o", str(library), "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{home}/lib"]
    subprocess.run(["g++", *options, str(GUARD), *made], check=True, capture_output=True)
    return library


class Watch(TorchDispatchMode):
    """Counts launches, and names what makes the host wait, or computes a product in another type than bf16."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()  # what, and the function of the package that did it
        self.wrong_types: Counter[str] = Counter()
        self.launches = 0
        self.kernels: Counter[str] = Counter()  # launches by operation
        self.events = 0
        self.fails_at: set[int] = set()  # launches at which memory ends
        self.recording = False  # a CUDA graph
        self.recorded = 0  # launches in the latest

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
        if any(tensor.device.type == "cuda" for tensor in tensors):
            self._see(func, args, kwargs, tensors)
        return out

    def forget(self) -> None:
        """What was seen so far, such as an assembly."""
        for counted in (self.waits, self.wrong_types, self.kernels):
            counted.clear()
        self.launches = 0

    def start(self, kind: str, launches: int) -> None:
        self.launches += launches
        if launches:
            self.kernels[kind] += launches
        if any(self.launches - launches < at <= self.launches for at in self.fails_at):
            raise torch.OutOfMemoryError("planted")

    def note(self, what: str) -> None:
        self.waits[f"{what}{' while recording' * self.recording} in {caller()}"] += 1

    def _see(self, func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> None:
        kind = func.overloadpacket
        self.start(kind.__name__, launches_of(func, args))
        sides = [tensor for tensor in tensors if tensor.dim()]  # a single number travels with the launch
        if len({tensor.device.type for tensor in sides}) > 1:
            copies = kind in (aten._to_copy, aten.copy_)
            later = copies and (kwargs.get("non_blocking") or (kind is aten.copy_ and len(args) > 2 and args[2]))
            if not (later and any(getattr(tensor, "pinned", False) for tensor in sides)):
                self.note(kind.__name__)
        elif kind in READS or (kind is aten.index and any(i is not None and i.dtype == torch.bool for i in args[1])):
            self.note(kind.__name__)
        if kind in PRODUCTS:
            found = {t.dtype for t in tree_leaves(args) if isinstance(t, torch.Tensor) and t.is_floating_point()}
            if found != {torch.bfloat16}:
                self.wrong_types[f"{kind.__name__} of {', '.join(sorted(map(str, found)))} in {caller()}"] += 1


def launches_of(func: Any, args: Any) -> int:
    """Kernels that an operation starts: none for views and empty tensors, few for a list of tensors."""
    if func.overloadpacket in NO_LAUNCH or func.namespace == "prim":
        return 0
    infos = [returned.alias_info for returned in func._schema.returns]
    if infos and all(info is not None and not info.is_write for info in infos):
        return 0  # a view
    lists = [argument for argument in args if isinstance(argument, list | tuple) and argument]
    lists = [argument for argument in lists if isinstance(argument[0], torch.Tensor)]
    if lists and ("_foreach" in func.__name__ or "_fused" in func.__name__):
        return -(-len(lists[0]) // LISTS_A_LAUNCH[len(lists) - 1])
    return 1


def caller() -> str:
    """The function of the package that is at work; the backward pass has a thread of its own, and none."""
    frames = [frame for frame in traceback.extract_stack() if f"/{PACKAGE}/" in frame.filename]
    return f"{Path(frames[-1].filename).stem}.{frames[-1].name}" if frames else "backward"


class FusedNorm(torch.autograd.Function):
    """What `F.rms_norm` starts on CUDA: a kernel, and backwards one for the input and two for the scale."""

    @staticmethod
    def forward(context: Any, watch: Watch, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        context.watch = watch
        context.save_for_backward(x, weight)
        watch.start("_fused_rms_norm", 1)
        return torch.empty_like(x)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor | None]:
        x, weight = context.saved_tensors
        learns = context.needs_input_grad[2]
        context.watch.start("_fused_rms_norm_backward", 3 if learns else 1)
        return None, torch.empty_like(x), torch.empty_like(weight) if learns else None


class Fake(fake_tensor.FakeTensorMode):
    avoid_device_init = True


@contextlib.contextmanager
def fake_cuda(watch: Watch, watched: bool = True) -> Iterator[None]:
    """All tensors that are made here are fake, and what is done to those on `cuda` is watched.

    torch makes no graph under a dispatch mode: that goes without being watched.
    """
    mode = Fake(allow_non_fake_inputs=True)
    empty, plain_norm = torch.empty, torch.nn.functional.rms_norm

    def pinned(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.view(tensor.shape)
        tensor.pinned = True
        return tensor

    def read(own: Callable[..., Any], value: Callable[[torch.Tensor], Any]) -> Callable[..., Any]:
        """Reading what a fake tensor does not have: an answer of the right form, and a wait if it is on the device."""

        def told(tensor: torch.Tensor, *arguments: Any, **named: Any) -> Any:
            if not isinstance(tensor, FakeTensor) or not watched:
                return own(tensor, *arguments, **named)
            if tensor.device.type == "cuda":
                watch.note(own.__name__.strip("_"))
            return value(tensor)

        return told

    class Event:
        """Waiting for an event is a wait only if the host is not two measurements ahead already."""

        def record(self) -> None:
            watch.events += 1
            self.number = watch.events

        def synchronize(self) -> None:
            if watch.events - self.number < 2:
                watch.note("synchronize")

    class Graph:
        """Recording starts nothing, and waits once for all that was started before."""

        def replay(self) -> None:
            watch.start("graph", 1)

    @contextlib.contextmanager
    def recording(graph: Graph, pool: object = None, capture_error_mode: str = "global") -> Iterator[None]:
        watch.note("graph")
        before, kernels, watch.recording = watch.launches, watch.kernels.copy(), True
        try:
            yield
        finally:
            watch.recorded, watch.recording = watch.launches - before, False
            watch.launches, watch.kernels = before, kernels

    def attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
        """The kernel that a learned bias gets; torch's own choice asks a real device."""
        mask = attn_mask
        if mask is not None and mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape, dtype=query.dtype, device=query.device)
        if torch.is_autocast_enabled("cuda"):  # which torch's own does for all four
            kind = torch.get_autocast_dtype("cuda")
            query, key, value, mask = (part if part is None else part.to(kind) for part in (query, key, value, mask))
        kernel = aten._scaled_dot_product_efficient_attention
        return kernel(query, key, value, mask, True, dropout_p, is_causal, scale=scale)[0]

    def rms_norm(x, normalized_shape, weight=None, eps=None):
        """One kernel where it may be: torch's own way to it asks what was built. Else the several that a CPU starts."""
        kind = torch.float32 if torch.is_autocast_enabled("cuda") else x.dtype
        fused = watched and x.device.type == "cuda" and weight is not None and weight.dtype == kind
        return FusedNorm.apply(watch, x.to(kind), weight) if fused else plain_norm(x, normalized_shape, weight, eps)

    @torch.no_grad()
    def apply(module: torch.nn.Module, change: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        """`module.to()`: a parameter stays the object that it was, as with real tensors."""
        for part in (*module.parameters(), *module.buffers()):
            moved = change(part.data)
            part.data, part.fake_device = moved, moved.fake_device
        return module

    def one(tensor: torch.Tensor) -> Any:
        return 1.0 if tensor.is_floating_point() else 1

    def nested(tensor: torch.Tensor) -> Any:
        kind = float if tensor.is_floating_point() else bool if tensor.dtype == torch.bool else int
        return np.ones(tuple(tensor.shape)).astype(kind).tolist()

    def zeros(tensor: torch.Tensor) -> np.ndarray:
        return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    load_file, safe_open = safetensors.torch.load_file, safetensors.safe_open

    def load(*where: Any) -> dict[str, torch.Tensor]:
        with fake_tensor.unset_fake_temporarily():
            return load_file(*where)

    class Opened:
        """A file of tensors, which are real when they are read."""

        def __init__(self, *where: Any, **named: Any) -> None:
            self.file = safe_open(*where, **named)

        def __enter__(self) -> Opened:
            self.file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def get_tensor(self, name: str) -> torch.Tensor:
            with fake_tensor.unset_fake_temporarily():
                return self.file.get_tensor(name)

    save_file = safetensors.torch.save_file

    def save(tensors: dict[str, torch.Tensor], *where: Any, **named: Any) -> None:
        """What goes into a file: zeros of the right form, and a wait for each tensor that is on the device."""
        for _ in (t for t in tensors.values() if t.device.type == "cuda"):
            watch.note("write")
        with fake_tensor.unset_fake_temporarily():
            zeros = {name: torch.zeros(tuple(t.shape), dtype=t.dtype) for name, t in tensors.items()}
            save_file(zeros, *where, **named)

    cuda = {
        "is_available": lambda: True,
        "is_bf16_supported": lambda **_: True,
        "get_device_name": lambda *_: "fake",
        "get_device_properties": lambda *_: SimpleNamespace(total_memory=MEMORY),
        "mem_get_info": lambda *_: (MEMORY, MEMORY),
        "empty_cache": lambda: None,
        "get_rng_state": lambda *_: None,
        "set_rng_state": lambda *_: None,
        "Event": Event,
        "CUDAGraph": Graph,
        "graph": recording,
        "graph_pool_handle": lambda: None,
    }
    tensor = torch.Tensor
    with contextlib.ExitStack() as stack:
        changed = [(torch.cuda, name, new) for name, new in cuda.items()]
        changed += [
            (fake_tensor, "init_gpu_context", lambda device: None),
            (
                torch,
                "empty",
                lambda *a, pin_memory=False, **k: pinned(empty(*a, **k)) if pin_memory else empty(*a, **k),
            ),
            (tensor, "pin_memory", lambda t: pinned(mode.from_tensor(t))),
            (tensor, "item", read(tensor.item, one)),
            (tensor, "tolist", read(tensor.tolist, nested)),
            (tensor, "__bool__", read(tensor.__bool__, lambda t: True)),
            (tensor, "numpy", read(tensor.numpy, zeros)),
            (FakeTensor, "data_ptr", lambda t: t.untyped_storage()._cdata),
            (FakeTensor, "tolist", read(tensor.tolist, nested)),
            (torch.accelerator, "is_available", lambda: False),  # graphs are made without streams
            (torch.nn.Module, "_apply", apply),
            (_foreach_utils, "_foreach_supported_types", [torch.Tensor, torch.nn.Parameter, FakeTensor]),
            (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
            (torch.nn.functional, "scaled_dot_product_attention", attention),
            (torch.nn.functional, "rms_norm", rms_norm),
        ]
        for own, new in ((save_file, save), (load_file, load), (safe_open, Opened)):
            holders = [m for name, m in sys.modules.items() if name.partition(".")[0] in (PACKAGE, "safetensors")]
            changed += [(module, own.__name__, new) for module in holders if vars(module).get(own.__name__) is own]
        for owner, name, new in changed:
            stack.enter_context(patch.object(owner, name, new))
        stack.enter_context(mode)
        if watched:
            stack.enter_context(watch)
        yield
