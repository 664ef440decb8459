"""Updates of one pass as CUDA graphs: what a pass starts on the device is recorded, and later started as one thing.

A graph knows addresses, not tensors. So each has a batch of its own that new ones are copied into, gradients are copied
out of it into tensors that all graphs share, and there is one for each shape, recorded when the shape has come so often
that it will come again. An update of several passes is not recorded: it adds up gradients, which graphs of torch have
got wrong (pytorch #96693, #169545, #181723).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.core.errors import GlueError
from glue_harness.models.interface import Model
from glue_harness.train.device import Machine
from glue_harness.train.memory import Fit, is_out_of_memory
from glue_harness.train.passes import Run

USES = 3  # of a shape before it is recorded: kernels are chosen and tables made by then
MOST = 64  # graphs

Start = Callable[[], None]
Recorder = Callable[[Start], Start]  # what is to be recorded -> what starts it again; recording itself computes nothing


@dataclass(frozen=True)
class Recorded:
    batch: Any
    terms: Tensor
    each: Tensor  # of the loss, as the latest start left it
    learned: list[tuple[nn.Parameter, Tensor]]  # parameters that get a gradient, and where it then is
    start: Start


class Replays:
    def __init__(self, run: Run, parameters: Sequence[nn.Parameter], record: Recorder | None = None) -> None:
        self.inner, self.parameters, self.record = run, parameters, record or on_cuda()
        self.learning: list[bool] = []
        self.gradients: dict[nn.Parameter, Tensor] = {}
        self.uses: Counter[Hashable] = Counter()
        self.graphs: dict[Hashable, Recorded] = {}
        self.works = True

    def run(self, model: Model, batch: Any, terms: int | Tensor, machine: Machine, fit: Fit, alone: bool) -> Tensor:
        """A pass, as the `run` that was given does it."""
        if self.works and alone and not fit.lean:
            self._forget_if_others_learn()
            shape = shape_of(batch)
            self.uses[shape] += 1
            if shape not in self.graphs and self.uses[shape] > USES and len(self.graphs) < MOST:
                self._record(shape, model, batch, machine, fit)
            if shape in self.graphs:
                return replayed(self.graphs[shape], batch, terms)
        return self.inner(model, batch, terms, machine, fit, alone)

    def _forget_if_others_learn(self) -> None:
        learning = [parameter.requires_grad for parameter in self.parameters]
        if learning != self.learning:  # gradual unfreezing
            self.learning, self.uses = learning, Counter()
            self.graphs.clear()
            self.gradients = {p: torch.empty_like(p) for p in self.parameters if p.requires_grad}

    def _record(self, shape: Hashable, model: Model, batch: Any, machine: Machine, fit: Fit) -> None:
        own = copied(batch)
        terms, made = torch.ones((), device=machine.device), []

        def work() -> None:
            made.append(self.inner(model, own, terms, machine, fit, True))
            made.extend(parameter for parameter in self.parameters if parameter.grad is not None)
            with torch.no_grad():
                torch._foreach_copy_([self.gradients[p] for p in made[1:]], [p.grad for p in made[1:]])

        try:
            start = self.record(work)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                reason = str(error).splitlines()[0]
                raise GlueError(f"a CUDA graph cannot be recorded: {reason}: use --set cuda_graphs=off") from error
            self.works = False  # graphs keep memory of their own: passes without them may still fit
            self.graphs.clear()
            fit.notes.append("out of memory while a CUDA graph was recorded: passes go without graphs from here on")
        else:
            each, *learned = made
            self.graphs[shape] = Recorded(own, terms, each, [(p, self.gradients[p]) for p in learned], start)
        finally:
            for parameter in self.parameters:
                parameter.grad = None


def replayed(graph: Recorded, batch: Any, terms: int | Tensor) -> Tensor:
    torch._foreach_copy_(tensors_of(graph.batch), tensors_of(batch))
    graph.terms.fill_(terms)
    graph.start()
    for parameter, gradient in graph.learned:
        parameter.grad = gradient
    return graph.each


def shape_of(value: Any) -> Hashable:
    """What two batches must share for one graph: the shapes of their tensors, and all else that a pass may read."""
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    if isinstance(value, list | tuple):
        return tuple(map(shape_of, value))
    if is_dataclass(value):
        return tuple((name, shape_of(part)) for name, part in read_in_a_pass(value).items())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise GlueError(f"a CUDA graph cannot know of {type(value).__name__!r} in a batch: use --set cuda_graphs=off")


def tensors_of(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = read_in_a_pass(value).values() if is_dataclass(value) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def copied(value: Any) -> Any:
    """The same with tensors of its own."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, list | tuple):
        return [copied(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{name: copied(part) for name, part in read_in_a_pass(value).items()})
    return value


def read_in_a_pass(batch: Any) -> dict[str, Any]:
    """The fields of a dataclass, without those that say of themselves that no computation reads them."""
    return {f.name: getattr(batch, f.name) for f in fields(batch) if f.metadata.get("read", True)}


def on_cuda() -> Recorder:
    """torch's own; all graphs share the memory they compute in, as never two of them run at once."""
    pool = torch.cuda.graph_pool_handle()

    def record(work: Start) -> Start:
        graph = torch.cuda.CUDAGraph()
        # other threads, such as the feed's, may go on meanwhile
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            work()
        return graph.replay

    return record
