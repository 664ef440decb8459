"""What the loop and the answers know of a model, whatever its family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from glue_harness.core.task import Example, SpanNoise
from glue_harness.models.packing import Grid
from glue_harness.models.tokenizer import Tokenizer


class Loss(NamedTuple):
    """A sum, not a mean: the loop divides by the tokens of the whole update."""

    total: Tensor
    each: Tensor  # cross-entropy of every target token, in the order of the examples, without gradient


class Answer(NamedTuple):
    text: str
    scores: dict[str, float]  # choice -> its share of probability, as far as it was computed


@dataclass(frozen=True)
class Blocks:
    """A model's layers from the bottom to the top. A model with one stack has no decoder."""

    encoder: Sequence[nn.Module]
    decoder: Sequence[nn.Module]
    shared: Sequence[nn.Parameter]  # embeddings, and the output matrix where it is tied
    feed_forwards: Sequence[nn.Module]  # the sub-layer that gives each block's output
    norms: Sequence[nn.Parameter]  # scales of the layer norms; the last one stands before the head


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example in tokens: lists, or arrays that look into a cache."""

    inputs: Sequence[int]
    targets: Sequence[int]

    @property
    def length(self) -> int:
        return len(self.inputs)

    @property
    def target_length(self) -> int:
        return len(self.targets)


class Model(Protocol):
    """All that the loop and the answers know of a model."""

    module: nn.Module
    tokenizer: Tokenizer
    prompt_length: int  # every input begins with ids -1, -2, ...: a method says what they are
    origin: dict[str, Any]  # where the weights came from, for the record
    has_sentinels: bool  # without them it cannot learn from text alone
    token_bytes: int  # about what training keeps of an input token

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Examples as tokens: a function of the texts, the vocabulary and the plan's lengths alone."""

    def denoising(self, ids: Sequence[int], noise: SpanNoise, random: Random) -> Any:
        """A part of a tokenised text, corrupted, with what was hidden of it as the target."""

    def collate(self, encoded: Sequence[Any], device: torch.device) -> Any:
        """A batch of one example a row: what the answering functions take."""

    def lay(self, rows: Sequence[Sequence[Any]], device: torch.device, grid: Grid) -> Any:
        """A batch of packed rows, several examples in each: what `loss` takes."""

    def loss(self, batch: Any, lean: bool = False) -> Loss:
        """Teacher-forced cross-entropy, summed over the tokens of the targets; `lean` saves memory and costs time."""

    def compile(self) -> None:
        """Has torch make one graph of the loss for each shape of a batch."""

    def target_tokens(self, encoded: Sequence[Any]) -> int:
        """How many tokens `loss` will sum over."""

    def choose(self, batch: Any, choices: Sequence[Sequence[str]]) -> list[Answer]:
        """The greedy answer among each example's choices."""

    def shares(self, batch: Any, choices: Sequence[Sequence[str]]) -> list[dict[str, float]]:
        """The part that each choice has of the probability of all of an example's choices."""

    def agrees(self, batch: Any, texts: Sequence[str]) -> list[bool]:
        """Whether free greedy decoding would give exactly this text."""

    def generate(self, batch: Any, length: int) -> list[Answer]:
        """Greedy free text of at most `length` tokens."""

    def blocks(self) -> Blocks:
        """The ordered layers, for methods that train some of them."""

    def save(self, folder: Path) -> None:
        """Weights, configuration and vocabulary, such that `load_model` reads them back."""

    def load_weights(self, folder: Path) -> None:
        """Weights that `save` wrote, into this model."""


def count_parameters(parameters: Iterable[nn.Parameter]) -> int:
    """How many numbers they hold."""
    return sum(parameter.numel() for parameter in parameters)
