"""A language model of both directions, as ELMo's (Peters et al., 2018): two stacks of LSTMs that never see each other.

One tells each word from those before it, the other from those behind it, over the words' own vectors as the output
matrix. What stands before the first word and behind the last is the edge: padding's id, vector and class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.models.batch import moved, padded
from glue_harness.models.dropout import counted
from glue_harness.models.interface import Encoded
from glue_harness.models.lstm import TextDropout, run, turned
from glue_harness.models.objectives import part_of
from glue_harness.models.packing import Stream
from glue_harness.models.words import PAD

LAYERS = 2
DROPOUT = 0.1  # ELMo's


class LanguageModel(nn.Module):
    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.ahead = nn.ModuleList(nn.LSTM(width, width, batch_first=True) for _ in range(LAYERS))
        self.back = nn.ModuleList(nn.LSTM(width, width, batch_first=True) for _ in range(LAYERS))
        self.bias = nn.Parameter(torch.zeros(words))
        self.dropout = TextDropout(DROPOUT)

    def forward(self, vectors: Tensor, lengths: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Of each layer the states of both directions; the words' own vectors are the lowest.

        `vectors` begin and end with the edge, which `lengths` count too.
        """
        counts = torch.tensor(lengths)
        layers, ahead, back = [(vectors, vectors)], vectors, turned(vectors, counts)
        for number, (reads_on, reads_back) in enumerate(zip(self.ahead, self.back, strict=True)):
            below = (ahead, back) if number else (0, 0)  # the upper layer adds to the lower one
            ahead = run(reads_on, self.dropout(ahead), counts) + below[0]
            back = run(reads_back, self.dropout(back), counts) + below[1]
            layers.append((ahead, turned(back, counts)))
        return layers


def bounded(ids: Tensor) -> Tensor:
    """Texts with an edge on both sides: behind a shorter text stands padding, which is the edge."""
    return functional.pad(ids, (1, 1), value=PAD)


def read(lm: LanguageModel, words: Callable[[Tensor], Tensor], ids: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """What each layer says of each word of texts: the states of both directions, side by side."""
    layers = lm(words(bounded(ids)), [length + 2 for length in lengths])
    return [torch.cat(both, dim=-1)[:, 1:-1] for both in layers]


class Batch(NamedTuple):
    ids: Tensor  # a text a row, with its edges
    places: Tensor  # of the states that tell a word, in both directions of all texts one after the other
    right: Tensor  # the words that they tell
    lengths: list[int]  # of the texts, with their edges
    in_rows: list[int]  # texts of each row

    @property
    def terms(self) -> list[int]:
        """Of each text, what is asked of it: in both directions all but the edge that is given."""
        return [2 * (length - 1) for length in self.lengths]


def asked(text: Stream, random: Random, length: int) -> Encoded:
    """A text, or of one that is too long a part, which is read as if it were all."""
    part, _ = part_of(text, length, random)
    return Encoded((part,), told=2 * (len(part) + 1))


def lay(rows: Sequence[Sequence[Encoded]], device: torch.device) -> Batch:
    """Text by text, what is told from before first."""
    texts = [np.pad(np.asarray(e.streams[0]), 1, constant_values=PAD) for row in rows for e in row]
    ids = padded(texts, PAD)
    width, places, right = ids.shape[1], [], []
    for number, text in enumerate(texts):
        ahead = 2 * number * width + np.arange(len(text) - 1)
        places += [ahead, ahead + width + 1]
        right += [text[1:], text[:-1]]
    at, words = (moved(torch.from_numpy(np.concatenate(part)), device) for part in (places, right))
    return Batch(moved(ids, device), at, words, [len(text) for text in texts], [len(row) for row in rows])


def scores(module: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """What every word scores at each place, and the right ones."""
    with counted(batch.in_rows):
        *_, both = module.lm(module.words(batch.ids), batch.lengths)
    states = torch.stack(both, dim=1).flatten(0, 2)[batch.places]
    return functional.linear(states, module.words.weight, module.lm.bias), batch.right


def costs(scores: Tensor, right: Tensor) -> Tensor:
    return functional.cross_entropy(scores, right, reduction="none")
