"""A model of words that learns from text alone: a language model of both directions, or word vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import BothWays, Example, Neighbours, Noise, Task
from glue_harness.models import bilm, neighbours
from glue_harness.models.interface import Answer, Encoded, Loss, Other, Parts
from glue_harness.models.objectives import refuse_other_objectives, told
from glue_harness.models.packing import FINE, Grid
from glue_harness.models.sentence_source import (
    SHARED,
    Table,
    config_in,
    known_table,
    learned_table,
    made_of,
    read_weights,
)
from glue_harness.models.word_model import KEPT, WordModel, WordVectors, take_weights
from glue_harness.models.words import UNK, Words, words_in

OBJECTIVES = "bilm, cbow or skipgram"


class TextModel(WordModel):
    """Words and what learns them; readers of sentences and heads are made by the runs that start from it."""

    def __init__(self, kind: str, made: dict[str, Any], table: Table, noise: BothWays | Neighbours, plan: Plan) -> None:
        learns = not made["vectors"] or made["tune_vectors"] == "on"
        super().__init__(kind, made, table, plan, learns, True if isinstance(noise, BothWays) else None)
        self.noise = noise
        self._frequencies: neighbours.Frequencies | None = None
        if isinstance(noise, BothWays):
            self.token_bytes = KEPT * (10 * self.width + 2 * self.vocabulary)
        else:
            if not learns:
                raise UsageError("vectors of a file stay as they are: let them learn on with --set tune_vectors=on")
            terms = (1 if noise.together else noise.window + 1) * (noise.negatives + 2)
            self.token_bytes = KEPT * terms * self.width
            self.module.context = WordVectors(torch.zeros_like(table.vectors), learns=True)
            self.module.register_buffer("counts", torch.zeros(self.vocabulary, dtype=torch.float64))
        self.module.eval()

    def load_weights(self, folder: Path) -> None:
        super().load_weights(folder)
        self._frequencies = None  # they are of its counts

    def check(self, tasks: Sequence[Task]) -> None:
        refuse_other_objectives(self.name, tasks, (BothWays, Neighbours), OBJECTIVES)
        if self.plan.method != "full":
            raise UsageError(f"method is {self.plan.method!r} but text alone is learned by whole models: use full")
        if other := [task.name for task in tasks if task.noise != self.noise]:
            raise UsageError(
                f"model {self.name!r} learns one thing of text at a time, and {other[0]} is another: "
                "glue pretrain, then --model run:RUN"
            )

    def as_read(self, task: Task) -> Task | None:
        return task if task.noise else None

    def inspected(self) -> str:
        return f"{self.words.size:,} words, vectors of {self.width} numbers, for others to start from"

    def encode(self, task: Task, examples: Sequence[Example]) -> list[Encoded]:
        return [Encoded(([word.id for word in self.words.read(example.inputs)],)) for example in examples]

    def corrupt(self, text: Encoded, noise: Noise, random: Random, other: Other) -> Encoded:
        if isinstance(noise, Neighbours):
            self._frequencies = self._frequencies or neighbours.Frequencies(self.module.counts.cpu().numpy(), noise)
            return neighbours.asked(text.streams[0], noise, self._frequencies, random, self.lengths[0])
        return bilm.asked(text.streams[0], random, self.lengths[0])

    def filler(self, length: int) -> Encoded:
        return self.corrupt(Encoded(([UNK] * length,)), self.noise, Random(0), lambda _: Encoded(([UNK],)))

    def lay(self, rows: Sequence[Sequence[Encoded]], device: torch.device, grid: Grid = FINE) -> Any:
        return bilm.lay(rows, device) if isinstance(self.noise, BothWays) else neighbours.lay(rows, self.noise, device)

    def loss(self, batch: Any, lean: bool = False) -> Loss:
        each = self._costs(*self._scores(batch))
        return Loss(each.sum(), each.detach())

    @torch.no_grad()
    def answer(self, batch: Any, task: Task, examples: Sequence[Example], strict: bool, length: int) -> list[Answer]:
        scores, right = self._scores(batch)
        return told(self._costs(scores, right), scores.argmax(-1) == right, batch.terms)

    def _scores(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Of each term what its words score, and the right one."""
        with torch.autocast(self.module.words.weight.device.type, enabled=False):  # as where sentences are compared
            return (bilm if isinstance(self.noise, BothWays) else neighbours).scores(self.module, batch)

    def _costs(self, scores: Tensor, right: Tensor) -> Tensor:
        return (bilm if isinstance(self.noise, BothWays) else neighbours).costs(scores, right)

    def shares(self, batch: Any, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        return [{} for _ in examples]

    def parts(self) -> Parts:
        return Parts((), (), (), (), self.module.words, self.module)

    def check_part(self, folder: Path) -> None:
        """Text is learned by whole models."""


def load_text_model(
    kind: str, plan: Plan, source: Path | None, tasks: Sequence[Task], texts: Iterable[str]
) -> TextModel:
    """From scratch, or from an earlier run of text."""
    refuse_other_objectives(plan.model, tasks, (BothWays, Neighbours), OBJECTIVES)
    noise = next(task.noise for task in tasks if isinstance(task.noise, BothWays | Neighbours))
    config = config_in(source or (Path(plan.tokenizer) if plan.tokenizer else None))
    made = made_of(plan, SHARED, config)
    texts = list(texts)  # gone through twice: for the words, and for how often they are there
    table = learned_table(plan, made, texts) if source is None else known_table(source, config)
    model = TextModel(kind, made, table, noise, plan)
    if source:
        take_weights(model, read_weights(source), ("lm.", "context.", "counts"))
    if isinstance(noise, Neighbours) and texts:  # of a saved run its own counts are there
        model.module.counts.copy_(torch.from_numpy(counts_of(table.words, texts)))
    return model


def counts_of(words: Words, texts: Iterable[str]) -> np.ndarray:
    """How often each id is read in texts."""
    counts = np.zeros(words.size)
    for word, count in words_in(texts).items():
        counts[words.id_of(word)] += count
    return counts
