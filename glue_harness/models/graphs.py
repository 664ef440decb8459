"""Functions as compiled graphs, kept in the cache.

What is compiled is a block, not a loss. All blocks of a stack share one graph, and a graph of symbolic sizes serves
every shape of a batch: two for a T5, made in about 6 s of host time for t5:base, where a loss as a whole took about
50 s for each of the 11 to 31 shapes that a mix brings.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from glue_harness.core import cache

FOLDER = "TORCHINDUCTOR_CACHE_DIR"
MOST = 128  # graphs of one function; torch's own limit is 8, and there it stops with an error


def compiled(function: Callable[..., torch.Tensor], backend: str | Callable) -> Callable[..., torch.Tensor]:
    """Another graph is made only for what changes the computation: which parameters learn, two sides that are equal."""
    keep_graphs()
    torch._dynamo.config.recompile_limit = max(MOST, torch._dynamo.config.recompile_limit)
    torch._dynamo.config.specialize_float = True  # rates and epsilons never change: constants, not inputs
    return torch.compile(function, dynamic=True, fullgraph=True, backend=backend)


def keep_graphs() -> None:
    """In our cache, unless the user has named a folder. torch names its own as soon as parts of it are imported."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get(FOLDER) in (None, default_cache_dir()):
        os.environ[FOLDER] = str(cache.folder() / "graphs")
