"""Several processes that carry one run out: each draws the same updates and takes its share of their passes.

What they tell each other, they tell at places that all of them reach: gradients and sums once an update, answers once
an evaluation, a wish to stop once a step. Nothing is told inside a pass (but for the weights of train/shards.py), so
that one of them may run out of memory and do its pass again in smaller ones. Numbers on the CPU go through gloo,
gradients on GPUs through NCCL.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.place import place
from glue_harness.train.arrangement import Pass

BUCKET = 2**22  # numbers that are reduced together: 16 MiB in fp32
PATIENCE = timedelta(minutes=30)  # for a process that lives but does not answer; one that died is noticed at once
MEETING = timedelta(minutes=5)  # for all of them to begin
REASON = "failed"  # where the store keeps what a process died of

T = TypeVar("T")


class Lost(GlueError):
    """Another process of the run has died."""


class Ranks:
    """This process among those of its run. Here it is the only one, and has nobody to tell anything."""

    rank, size = 0, 1
    waited = 0.0  # seconds that went to exchanging gradients, and to waiting for who is slower

    @property
    def leads(self) -> bool:
        """The first process owns the run's folder and talks to the user."""
        return self.rank == 0

    def share(self, passes: Sequence[Pass]) -> Sequence[Pass]:
        """The passes of an update that are this process's."""
        return passes

    def reduce(self, parameters: Sequence[nn.Parameter], sums: Tensor) -> Tensor:
        """Adds up the gradients of all processes, in place, and the sums that come back."""
        return sums

    def gather(self, mine: T) -> list[T]:
        """Everybody's, in the order of the processes."""
        return [mine]

    def agree(self, number: int) -> int:
        """The largest that any process has."""
        return number

    def first(self, find: Callable[[], T]) -> T:
        """What the first process finds."""
        return find()

    def fail(self, reason: str) -> None:
        """Leaves for the others what this process is about to die of."""

    def all_there(self, computing: bool = False) -> contextlib.AbstractContextManager[None]:
        """Inside, all processes tell each other something."""
        return contextlib.nullcontext()

    def compare(self, module: nn.Module, when: str) -> None:
        """Refuses to go on with weights that are not the same in all processes."""


class Several(Ranks):
    def __init__(self, rank: int, size: int, store: distributed.Store) -> None:
        self.rank, self.size, self.store = rank, size, store

    def share(self, passes: Sequence[Pass]) -> Sequence[Pass]:
        return dealt(passes, self.size)[self.rank]

    @torch.no_grad()
    def reduce(self, parameters: Sequence[nn.Parameter], sums: Tensor) -> Tensor:
        """A head without examples here may have some elsewhere: it gets zeros, so that all send the same tensors."""
        began = time.perf_counter()
        with self.all_there():
            present = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.uint8)
            distributed.all_reduce(present, distributed.ReduceOp.MAX)
            learning = [parameter for parameter, has in zip(parameters, present.tolist(), strict=True) if has]
            for parameter in learning:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            for bucket in buckets([parameter.grad for parameter in learning]):
                if len(bucket) == 1 and bucket[0].is_contiguous():  # a large one needs no copy
                    distributed.all_reduce(bucket[0])
                    continue
                flat = torch.cat([gradient.flatten() for gradient in bucket])
                distributed.all_reduce(flat)
                parts = flat.split([gradient.numel() for gradient in bucket])
                torch._foreach_copy_(bucket, [p.view_as(g) for p, g in zip(parts, bucket, strict=True)])
            distributed.all_reduce(sums)
        self.waited += time.perf_counter() - began
        return sums

    def gather(self, mine: T) -> list[T]:
        found: list[Any] = [None] * self.size
        with self.all_there():
            distributed.all_gather_object(found, mine)
        return found

    def agree(self, number: int) -> int:
        told = torch.tensor(number)
        with self.all_there():
            distributed.all_reduce(told, distributed.ReduceOp.MAX)
        return int(told)

    def first(self, find: Callable[[], T]) -> T:
        told = [find() if self.leads else None]
        with self.all_there():
            distributed.broadcast_object_list(told)
        return told[0]  # type: ignore[return-value]

    def fail(self, reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # whoever keeps the store may be the one that died
            if not self.store.check([REASON]):
                self.store.set(REASON, f"process {self.rank} of {self.size} (counted from 0) failed: {reason}")

    def compare(self, module: nn.Module, when: str) -> None:
        """By their sums: whoever drew, read or moved one weight in another way has another one, but for a miracle."""
        own = torch.stack([weight.detach().sum(dtype=torch.float64) for weight in module.parameters()]).tolist()
        if any(other != own for other in self.gather(own)):
            raise GlueError(f"the {self.size} processes have different weights {when}: are files and versions alike?")

    @contextlib.contextmanager
    def all_there(self, computing: bool = False) -> Iterator[None]:
        """Who tells something to a process that died gets an error of the network, in words of its own.

        `computing`: what is done inside may fail for other reasons too.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if computing and not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
                raise
            atexit.unregister(leave)  # NCCL would wait there for whoever is gone
            raise Lost(self._reason()) from error

    def _reason(self) -> str:
        with contextlib.suppress(RuntimeError):
            if self.store.check([REASON]):
                return self.store.get(REASON).decode()
        return "another process of this run died: glue run --resume goes on from its newest checkpoint"


ALONE = Ranks()
_here: list[Ranks] = []  # a process belongs to one group as long as it lives


def joined() -> Ranks:
    """The processes that this one has joined."""
    return _here[0] if _here else ALONE


def join() -> Ranks:
    """Meets the other processes of this run, if the environment tells of any."""
    here = place()
    if here.size > 1 and not _here:
        has_cuda = torch.cuda.is_available()
        if has_cuda:
            if here.local >= torch.cuda.device_count():
                found = f"{here.beside} processes but {torch.cuda.device_count()} GPUs on this machine"
                raise UsageError(f"{found}: start one a GPU, or hide the GPUs with CUDA_VISIBLE_DEVICES=")
            torch.cuda.set_device(here.local)
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, torch.get_num_threads() // here.beside))
        try:
            store, rank, size = next(distributed.rendezvous("env://", timeout=MEETING))
            backend = "cpu:gloo,cuda:nccl" if has_cuda else "gloo"
            mine = distributed.PrefixStore("glue", store)
            distributed.init_process_group(backend, store=mine, rank=rank, world_size=size, timeout=PATIENCE)
        except RuntimeError as error:
            why = str(error).splitlines()[0]
            raise GlueError(f"the {here.size} processes of this run did not meet: {why}") from None
        atexit.register(leave)
        _here.append(Several(rank, size, mine))
    return joined()


def leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def dealt(passes: Sequence[Pass], size: int) -> list[list[Pass]]:
    """Whole passes, the largest first to whoever has least; where they are too few, rows of each of them."""
    if len(passes) < size:
        parts = [[part_of(whole, rank, size) for whole in passes] for rank in range(size)]
        return [[part for part in own if part.rows] for own in parts]
    loads: list[int] = [0] * size
    shares: list[list[Pass]] = [[] for _ in loads]
    for whole in sorted(passes, key=lambda p: -p.padded):
        least = loads.index(min(loads))
        loads[least] += whole.padded
        shares[least].append(whole)
    return [sorted(own, key=lambda p: p.place) for own in shares]


def part_of(whole: Pass, rank: int, size: int) -> Pass:
    """The rows whose middle lies in the rank's part of all tokens."""
    lengths = [sum(example.length for example in row) for row in whole.rows]
    ends = list(accumulate(lengths))
    owners = [(2 * end - length) * size // (2 * ends[-1]) for end, length in zip(ends, lengths, strict=True)]
    return whole.part(bisect_left(owners, rank), bisect_right(owners, rank))


def buckets(gradients: Sequence[Any]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, about so many numbers together."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        full = sum(g.numel() for g in bucket) + gradient.numel() > BUCKET
        if bucket and (full or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket
