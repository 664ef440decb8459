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
        own = replace(batch, **{name: tensor.clone() for name, tensor in tensors_of(batch).items()})
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
    torch._foreach_copy_(list(tensors_of(graph.batch).values()), list(tensors_of(batch).values()))
    graph.terms.fill_(terms)
    graph.start()
    for parameter, gradient in graph.learned:
        parameter.grad = gradient
    return graph.each


def tensors_of(batch: Any) -> dict[str, Tensor]:
    return {f.name: value for f in fields(batch) if isinstance(value := getattr(batch, f.name), Tensor)}


def shape_of(batch: Any) -> Hashable:
    """What two batches must share for one graph."""
    tensors = tensors_of(batch) if is_dataclass(batch) else {}
    others = [getattr(batch, f.name) for f in fields(batch) if f.name not in tensors] if tensors else [batch]
    if not is_plain(others):
        raise GlueError("batches of this model hold more than tensors and plain values: use --set cuda_graphs=off")
    return (*((name, tensor.shape, tensor.dtype) for name, tensor in tensors.items()), repr(others))


def is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


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
