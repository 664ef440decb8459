"""Word vectors from text, as word2vec learns them (Mikolov et al., 2013): which words stand near each other.

A term is a right word and some others, drawn by their frequency, given one word (skip-gram) or the mean of a word's
neighbours (CBOW). Words have a second vector for being told, which is left behind once they are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.task import Neighbours
from glue_harness.models.batch import moved
from glue_harness.models.interface import Encoded
from glue_harness.models.objectives import part_of
from glue_harness.models.packing import Stream
from glue_harness.models.words import PAD


class Frequencies:
    """How often words are left out of a text, and drawn as wrong ones. `counts`: of each id."""

    def __init__(self, counts: np.ndarray, noise: Neighbours) -> None:
        share = counts / counts.sum()
        with np.errstate(divide="ignore"):
            self.stays = np.minimum(1, np.sqrt(noise.sample / share))  # of each word, how likely it is not left out
        drawn = counts**noise.power
        self.below = np.cumsum(drawn / drawn.sum())
        self.below[-1] = 1  # whatever rounding made of it

    def negatives(self, dice: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return np.searchsorted(self.below, dice.random(shape), side="right")


def asked(text: Stream, noise: Neighbours, frequencies: Frequencies, random: Random, length: int) -> Encoded:
    """Marks: of each term what is given, padded, then the others and the right word.

    Where fewer than two words are left of a text it is taken whole, and a text of one word tells that word of itself:
    an example without any term could not be scored.
    """
    part, _ = part_of(text, length, random)
    words = np.asarray(part)
    dice = np.random.Generator(np.random.PCG64(random.getrandbits(64)))
    kept = words[dice.random(len(words)) < frequencies.stays[words]]
    kept = kept if len(kept) > 1 else words
    offsets = np.array([k for k in range(-noise.window, noise.window + 1) if k])
    places = np.arange(len(kept))[:, None] + offsets
    reach = dice.integers(1, noise.window + 1, len(kept))
    near = (np.abs(offsets) <= reach[:, None]) & (places >= 0) & (places < len(kept))
    if len(kept) == 1:
        places, near = np.zeros((1, 1), int), np.ones((1, 1), bool)
    beside = np.where(near, kept[np.clip(places, 0, len(kept) - 1)], PAD)
    if noise.together:
        given = np.pad(beside, ((0, 0), (0, 2 * noise.window - beside.shape[1])), constant_values=PAD)
        right = kept
    else:
        given, right = np.repeat(kept, near.sum(1))[:, None], beside[near]
    others = frequencies.negatives(dice, (len(right), noise.negatives))
    others = np.where(others == right[:, None], PAD, others)  # drawn by chance: it is no wrong one
    terms = np.concatenate([given, others, right[:, None]], axis=1)
    return Encoded((part,), marks=terms.reshape(-1), told=len(terms))


class Batch(NamedTuple):
    given: Tensor  # terms x words, padded
    choices: Tensor  # terms x (the others, padded, and the right word)
    terms: list[int]  # of each example


def lay(rows: Sequence[Sequence[Encoded]], noise: Neighbours, device: torch.device) -> Batch:
    examples = [e for row in rows for e in row]
    width = 2 * noise.window if noise.together else 1
    terms = np.concatenate([np.asarray(e.marks, np.int64).reshape(e.told, -1) for e in examples])
    given, choices = (moved(torch.from_numpy(part.copy()), device) for part in np.split(terms, [width], axis=1))
    return Batch(given, choices, [e.told for e in examples])


def scores(module: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Of each term what its words score, and where the right one stands: behind all others."""
    there = (batch.given != PAD)[..., None]
    mean = (module.words(batch.given) * there).sum(1) / there.sum(1)
    found = (module.context(batch.choices) @ mean[..., None])[..., 0].masked_fill(batch.choices == PAD, float("-inf"))
    return found, found.new_full((len(found),), found.shape[1] - 1, dtype=torch.long)


def costs(scores: Tensor, right: Tensor) -> Tensor:
    """-log sigmoid(s) of the right word, and of each of the others -log sigmoid(-s)."""
    return functional.softplus(scores[:, :-1]).sum(1) + functional.softplus(-scores[:, -1])
