"""What the loop, the answers and the methods know of a model, whatever its family.

A family is one file here that declares `FAMILY` (models/families.py) and defines `load(plan, source, tasks, texts)`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from glue_harness.core.errors import UsageError
from glue_harness.core.task import Example, Noise, Task
from glue_harness.models.packing import Grid, Stream

BESIDE = "beside"  # the child of a model's module that holds what learns with it and is no part of it


class Loss(NamedTuple):
    """A sum over terms, not a mean: the loop divides by the terms of the whole update."""

    total: Tensor
    each: Tensor  # every term, in the order of the examples, without gradient


class Choices(NamedTuple):
    """What a model gives the choices of some examples of a batch, beside what their teacher gave them."""

    scores: Tensor  # [examples, most]: log-probabilities but for a constant, minus infinity where there are fewer
    soft: Tensor  # [examples, most]: the teacher's shares. Of a number both have one column: the number
    terms: Tensor  # these examples' terms of the loss, by number in the batch
    owners: Tensor | None = None  # of each of them the example; None: each has one
    is_number: bool = False
    weight: float = 1.0  # of the task in the loss


class Answer(NamedTuple):
    text: str
    scores: dict[str, float]  # choice -> its share of probability, as far as it was computed


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example in tokens: lists, or arrays that look into a cache.

    Where a model writes its answer, the last stream is the right one, and every token of it is a term of the loss.
    Where a head gives it, `gold` is the label's number (or the number itself) and `head` the task it belongs to.
    """

    streams: tuple[Stream, ...]
    gold: float | None = None
    head: str = ""
    lost: int = 0  # tokens that were cut off, as the streams would have been longer than the plan allows
    marks: Stream = ()  # places in the first stream that a head reads: what they mean is its family's matter
    told: int = 0  # hidden tokens that a head tells, each a term of the loss
    soft: Sequence[float] = ()  # what a teacher gives the example's choices: shares of 1; or the number that it answers
    options: Sequence[Stream] = ()  # where a model writes its answer, the tokens of these choices, ends included
    prompt: int = 0  # vectors that a method puts in front of the first stream: they take room too

    @property
    def length(self) -> int:
        """Of the stream that decides how much room an example takes."""
        return self.prompt + len(self.streams[0])

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.length, *map(len, self.streams[1:]))

    @property
    def terms(self) -> int:
        """How many terms of the loss are its."""
        if self.told:
            return self.told + (self.gold is not None)  # whether its second segment follows is one more
        return len(self.streams[-1]) if self.gold is None else 1


Other = Callable[[Random], Encoded]


@dataclass(frozen=True)
class Parts:
    """What methods take hold of, by its role."""

    stacks: Sequence[Sequence[nn.Module]]  # blocks from bottom to top; the last stack gives the answer
    feed_forwards: Sequence[nn.Module]  # the sub-layer that gives each block's output, block by block of the stacks
    attention: Sequence[str]  # names of the query and value matrices in each attention
    norms: Sequence[nn.Parameter]  # of the layer norms; without heads, the last one stands before the answer
    embeddings: nn.Module  # of the input tokens
    reader: nn.Module  # the module that holds them, and whatever else comes before the blocks
    heads: Sequence[nn.Module] = ()  # made for the tasks: without training they answer by chance
    above: Sequence[nn.Module] = ()  # what else stands above the blocks: final norms, an output matrix of its own
    attentions: Sequence[nn.Module] = ()  # the matrix that gives each attention's output, before it is added
    # how the states go through a block of each stack, where it is not by calling the block
    through: Sequence[Callable[..., Any]] = ()
    outside: Sequence[nn.Parameter] = ()  # a block's that are read where the block is not called
    passes: int = 0  # blocks that the states go through in the last stack, where some are used again; 0: each once


@dataclass(frozen=True)
class Export:
    """A model as a class of transformers has it, for one task."""

    reader: str  # the class that loads it: AutoModelFor...
    whole: Any  # one of that class, with whatever weights
    weights: Mapping[str, Tensor]  # ours, by its names; what a method added to the model has others
    save_vocabulary: Callable[[Path], None]
    heads: tuple[str, ...] = ()  # its parts that were made for the task
    behind: str = ""  # what stands behind each question
    remark: str = ""  # what else whoever uses it should know

    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Has the class hold these; what it has no place for, a method added in ways that only we know."""
        missing, unknown = self.whole.load_state_dict(weights, strict=False)
        assert not missing, f"{self.reader} lacks {missing[:3]}"
        if unknown:
            raise UsageError(
                f"this model cannot be exported: {self.reader} has no place for {unknown[0]}; "
                "glue predict and glue submit serve it"
            )


class Model(Protocol):
    module: nn.Module
    plain: Collection[str]  # its own parameters, before a method adds any: `load_model` sets it
    lengths: tuple[int, ...]  # most tokens in each stream
    vocabulary: int  # ids of tokens are below it
    fingerprint: list[str]  # of all that decides how a text becomes tokens
    prompt_length: int  # every input begins with ids -1, -2, ...: a method says what they are
    origin: dict[str, Any]  # where the weights came from, for the record
    token_bytes: int  # about what training keeps of an input token

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuses tasks that this model cannot learn, with the reason."""

    def as_read(self, task: Task) -> Task | None:
        """The task as this model trains on it; None if it cannot."""

    def inspected(self) -> str:
        """What there is to say of its vocabulary and its parts; an error if they do not fit together."""

    def encode(self, task: Task, examples: Sequence[Example]) -> list[Encoded]:
        """Examples as tokens: a function of the texts, the vocabulary and `lengths` alone."""

    def corrupt(self, text: Encoded, noise: Noise, random: Random, other: Other) -> Encoded:
        """A part of a text without a target, corrupted, with what was hidden of it as the target.

        `other` draws another text of the same split.
        """

    def filler(self, length: int) -> Encoded:
        """An example of that length which means nothing: to find out what fits into memory."""

    def lay(self, rows: Sequence[Sequence[Encoded]], device: torch.device, grid: Grid) -> Any:
        """A batch of packed rows, several examples in each."""

    def loss(self, batch: Any, lean: bool = False) -> Loss:
        """Summed over the terms of the batch; `lean` saves memory and costs time."""

    def graded(self, batch: Any, lean: bool = False) -> tuple[Loss, list[Choices]]:
        """The loss, and in the same pass what a teacher's shares are held against: of the examples that have `soft`."""

    def option_tokens(self, choices: Sequence[str]) -> list[list[int]]:
        """These choices as the model writes them, their ends included; only where it writes its answers."""

    def compile(self) -> None:
        """Has torch make graphs of what training computes; asked again, it does nothing more."""

    def answer(self, batch: Any, task: Task, examples: Sequence[Example], strict: bool, length: int) -> list[Answer]:
        """The best of each example's choices; a free text of at most `length` tokens where it has none.

        `strict`: a choice stands only if free decoding gives it; else what free decoding gives is the answer.
        """

    def shares(self, batch: Any, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The part that each choice has of the probability of all of an example's choices."""

    def parts(self) -> Parts:
        """Layers by role, for methods that train or change some of them."""

    def save(self, folder: Path) -> None:
        """Weights, configuration and vocabulary, such that `load_model` reads them back."""

    def save_vocabulary(self, folder: Path) -> None:
        """What `save` writes beside the weights of a model that was changed only in part."""

    def check_part(self, folder: Path) -> None:
        """Refuses a trained part of a model if what `save_vocabulary` wrote beside it says that it is of another."""

    def load_weights(self, folder: Path) -> None:
        """Weights that `save` wrote, into this model."""

    def export(self, task: Task) -> Export:
        """For use without us; refuses where no class of transformers answers the task as this model does."""


class Prompted(Protocol):
    """A model that can be given solved examples, which stand before each question of their task."""

    def show(self, examples: Mapping[str, Sequence[Example]]) -> None:
        """Takes them: from here on they are part of what it reads, and of what `save_vocabulary` writes."""

    def recall(self, folder: Path) -> None:
        """Takes those that `save_vocabulary` wrote."""


def own_parameters(model: Model) -> dict[str, nn.Parameter]:
    """By name, without what only stands beside the model while it learns; tied ones once."""
    return {name: weight for name, weight in model.module.named_parameters() if not name.startswith(f"{BESIDE}.")}


def names_of(model: Model, parameters: Iterable[nn.Parameter]) -> set[str]:
    chosen = {id(parameter) for parameter in parameters}
    return {name for name, weight in own_parameters(model).items() if id(weight) in chosen}


def count_parameters(parameters: Iterable[nn.Parameter]) -> int:
    """How many numbers they hold."""
    return sum(parameter.numel() for parameter in parameters)


def not_finite(model: Model) -> list[str]:
    """The names of the weights that hold a number which is none."""
    weights = dict(model.module.named_parameters())
    finite = torch.stack([weight.isfinite().all() for weight in weights.values()]).tolist()  # a GPU is asked once
    return [name for name, good in zip(weights, finite, strict=True) if not good]
