"""What families that are built of transformers' blocks do to them all: graphs, and activations that are not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from glue_harness.models.dropout import drawn_again


def compile_blocks(blocks: Sequence[nn.Module]) -> None:
    """Each block becomes a graph of symbolic sizes; blocks of one kind share it."""
    from glue_harness.models.graphs import MOST, keep_graphs

    keep_graphs()
    torch._dynamo.config.recompile_limit = max(MOST, torch._dynamo.config.recompile_limit)
    for block in blocks:
        block.compile(dynamic=True)


@contextmanager
def lean_blocks(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside it blocks keep no activations and compute them again; graphs are not used."""
    before = [(block, block.forward, block._compiled_call_impl) for block in blocks]
    for block, forward, _ in before:
        block.forward = partial(checkpoint, forward, use_reentrant=False, context_fn=drawn_again)
        block._compiled_call_impl = None
    try:
        yield
    finally:
        for block, forward, compiled in before:
            block.forward, block._compiled_call_impl = forward, compiled
