"""Packed rows as tensors: what T5's stacks and its loss take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glue_harness.models.interface import Choices, Encoded
from glue_harness.models.packing import Grid, Stream, decoder_inputs, lay_out, multiple
from glue_harness.models.tokenizer import PAD

IGNORED = -100  # a label that is there to fill the grid


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of each example, one behind the other in the row that it stands in: none sees another."""

    given: Tensor  # rows x depth: choices one place later
    segments: Tensor  # which example of its row a token is of
    own_segments: Tensor  # which choice of its row
    places: Tensor  # where the choices' tokens stand in the flattened rows
    labels: Tensor  # these tokens
    slots: Tensor  # of each of them, its choice: example x most + its number
    there: Tensor  # [examples, most]: whether an example has so many
    soft: Tensor  # [examples, most]: what their teacher gave them
    owners: Tensor  # of each term of the loss, its example

    def scored(self, logits: Tensor) -> Choices:
        """What a decoder makes of them, from its output at their tokens: the log-likelihood of each."""
        logs = -functional.cross_entropy(logits, self.labels, ignore_index=IGNORED, reduction="none")
        sums = logs.new_zeros(self.there.numel()).index_add(0, self.slots, logs).view_as(self.there)
        terms = torch.arange(len(self.owners), device=logits.device)
        return Choices(sums.masked_fill(~self.there, float("-inf")), self.soft, terms, self.owners)


@dataclass(frozen=True, slots=True)
class Batch:
    inputs: Tensor  # rows x width
    segments: Tensor  # which example of its row a token is of, from 1; 0 is padding
    given: Tensor  # rows x depth: targets one place later
    given_segments: Tensor
    places: Tensor  # where the labels stand in the flattened targets
    labels: Tensor
    memory: list[Tensor] = field(default_factory=list)  # the encoder's output, once an answering function has it
    options: Options | None = None  # where a teacher has said what it makes of them

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
    options = lay_options(rows, height, device, start, grid) if rows[0][0].options else None
    laid = Batch(*(moved(torch.from_numpy(array), device) for array in arrays))
    return replace(laid, options=options)


def lay_options(
    rows: Sequence[Sequence[Encoded]], height: int, device: torch.device, start: int, grid: Grid
) -> Options:
    examples = [e for row in rows for e in row]
    soft = soft_of([e.soft for e in examples])
    count, most = soft.shape
    depth = multiple(max(sum(len(o) for e in row for o in e.options) for row in rows), grid.depth)
    slots = [np.full(len(o), number * most + k) for number, e in enumerate(examples) for k, o in enumerate(e.options)]
    choices = lay_out([[o for e in row for o in e.options] for row in rows], height, depth, PAD)
    together = lay_out([[np.concatenate(e.options) for e in row] for row in rows], height, depth, PAD)
    places = np.flatnonzero(choices.segments)
    filling = multiple(len(places), grid.labels) - len(places)
    terms = np.repeat(np.arange(count), [e.terms for e in examples])
    arrays = (
        decoder_inputs(choices.ids, choices.segments, start),
        together.segments,
        choices.segments,
        np.pad(places, (0, filling)),
        np.pad(choices.ids.reshape(-1)[places], (0, filling), constant_values=IGNORED),
        np.pad(np.concatenate(slots), (0, filling)),
        np.arange(most)[None] < np.array([len(e.options) for e in examples])[:, None],
        soft,
        terms,
    )
    return Options(*(moved(torch.from_numpy(array), device) for array in arrays))


def longest(rows: Sequence[Sequence[Encoded]], stream: int, unit: int) -> int:
    """How long the longest row is, in whole units."""
    return multiple(max(sum(e.sizes[stream] for e in row) for row in rows), unit)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """From pinned memory a copy to a GPU goes on while the next batch is made."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def numbers(values: Sequence[int], device: torch.device) -> Tensor:
    return moved(torch.tensor(values), device)


def soft_of(shares: Sequence[Sequence[float]]) -> np.ndarray:
    """What teachers gave the choices of examples, a row each; zeros where there are fewer."""
    filled = np.zeros((len(shares), max(map(len, shares))), np.float32)
    for row, own in zip(filled, shares, strict=True):
        row[: len(own)] = own
    return filled


def padded(sequences: Sequence[Stream], value: int) -> Tensor:
    """One sequence a row, all as long as the longest."""
    filled = np.full((len(sequences), max(map(len, sequences))), value, np.int64)
    for row, sequence in zip(filled, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(filled)
