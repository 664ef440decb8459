"""Packed rows as tensors: what T5's stacks and its loss take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from glue_harness.models.interface import Encoded
from glue_harness.models.packing import Grid, Stream, decoder_inputs, lay_out, multiple
from glue_harness.models.tokenizer import PAD

IGNORED = -100  # a label that is there to fill the grid


@dataclass(frozen=True, slots=True)
class Batch:
    inputs: Tensor  # rows x width
    segments: Tensor  # which example of its row a token is of, from 1; 0 is padding
    given: Tensor  # rows x depth: targets one place later
    given_segments: Tensor
    places: Tensor  # where the labels stand in the flattened targets
    labels: Tensor
    memory: list[Tensor] = field(default_factory=list)  # the encoder's output, once an answering function has it

    def only(self, rows: Sequence[int]) -> Batch:
        """What answering needs of some rows; what the encoder made of them is not made again."""
        at = numbers(rows, self.inputs.device)
        memory = [states[at] for states in self.memory]
        return replace(self, inputs=self.inputs[at], segments=self.segments[at], memory=memory)


def lay(rows: Sequence[Sequence[Encoded]], device: torch.device, start: int, grid: Grid) -> Batch:
    """The tensors of packed rows; on a coarse grid filled up with empty rows and ignored labels."""
    height = multiple(len(rows), grid.rows)
    width, depth = longest(rows, 0, grid.width), longest(rows, 1, grid.depth)
    inputs = lay_out([[e.streams[0] for e in row] for row in rows], height, max(width, grid.least[0]), PAD)
    targets = lay_out([[e.streams[1] for e in row] for row in rows], height, max(depth, grid.least[1]), PAD)
    places = np.flatnonzero(targets.segments)
    filling = multiple(len(places), grid.labels) - len(places)
    arrays = (
        inputs.ids,
        inputs.segments,
        decoder_inputs(targets.ids, targets.segments, start),
        targets.segments,
        np.pad(places, (0, filling)),
        np.pad(targets.ids.reshape(-1)[places], (0, filling), constant_values=IGNORED),
    )
    return Batch(*(moved(torch.from_numpy(array), device) for array in arrays))


def longest(rows: Sequence[Sequence[Encoded]], stream: int, unit: int) -> int:
    """How long the longest row is, in whole units."""
    return multiple(max(sum(e.sizes[stream] for e in row) for row in rows), unit)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """From pinned memory a copy to a GPU goes on while the next batch is made."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def numbers(values: Sequence[int], device: torch.device) -> Tensor:
    return moved(torch.tensor(values), device)


def padded(sequences: Sequence[Stream], value: int) -> Tensor:
    """One sequence a row, all as long as the longest."""
    filled = np.full((len(sequences), max(map(len, sequences))), value, np.int64)
    for row, sequence in zip(filled, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(filled)
