"""A stand-in on the CPU for what records CUDA graphs: it keeps operations with the tensors that they touched, as CUDA
does, and starts just these again. What a graph would read from an address that nobody fills is as wrong here as there."""

import math

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def storage(tensor):
    return tensor.untyped_storage().data_ptr()


def tensors(values):
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


class Recording(TorchDispatchMode):
    """Every operation with its arguments, and where its results lie: at an address from outside, or in the pool."""

    def __init__(self, pool):
        super().__init__()
        self.pool, self.inside, self.outside = pool, {storage(t) for t in pool}, set()
        self.operations, self.starts = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self.outside |= {storage(t) for t in tensors((args, kwargs))} - self.inside
        new = [t for t in tensors(made) if storage(t) not in self.outside]
        self.inside |= {storage(t) for t in new}
        self.pool += new
        self.operations.append((function, args, kwargs or {}, made))
        return made

    def start(self):
        self.starts += 1
        with torch.no_grad():
            for tensor in self.pool:  # where any graph computes, another one may have computed since
                tensor.fill_(math.nan if tensor.is_floating_point() else 0)
            for function, args, kwargs, made in self.operations:
                for old, new in zip(tensors(made), tensors(function(*args, **kwargs)), strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class Recorder:
    def __init__(self, fails=None):
        self.made, self.pool, self.fails = [], [], fails

    def __call__(self, work):
        random = torch.get_rng_state()
        with Recording(self.pool) as recording:
            work()
        torch.set_rng_state(random)
        if self.fails:
            raise self.fails
        self.made.append(recording)
        return recording.start
