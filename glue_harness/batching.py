"""Which examples meet in a batch. Batch k of a run is a pure function of its seed and k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glue_harness.models import Model
from glue_harness.sampler import Sampler
from glue_harness.task import Example

WINDOW = 16  # updates whose examples are sorted together by length, so that a batch needs little padding


@dataclass(frozen=True)
class Update:
    """The examples of one optimiser step, in tokens, cut into passes."""

    passes: list[list[Any]]
    tokens: int  # of all targets: what the loss is divided by
    padded: int  # input tokens the model sees, padding included
    ids: list[str]  # task/example, to name them when something goes wrong
    counts: dict[str, int]  # task -> examples


class Feed:
    """Draws examples under the mixing, tokenises each once, and groups them by length."""

    def __init__(
        self, model: Model, examples: dict[str, Sequence[Example]], sampler: Sampler, batch: int, micro: int | None
    ) -> None:
        self.model, self.sampler, self.batch, self.micro = model, sampler, batch, micro or batch
        self.names = list(examples)
        self.examples = list(examples.values())
        self.encoded: list[dict[int, Any]] = [{} for _ in self.names]
        self._window: tuple[int, list[list[tuple[int, int]]]] = (-1, [])

    def update(self, step: int) -> Update:
        """The examples of step `step`, counted from 0."""
        window, place = divmod(step, WINDOW)
        if self._window[0] != window:
            self._window = (window, self._group(window))
        draws = self._window[1][place]
        encoded = [self.encoded[task][row] for task, row in draws]
        passes = [encoded[k : k + self.micro] for k in range(0, len(encoded), self.micro)]
        tasks = [self.names[task] for task, _ in draws]
        return Update(
            passes=passes,
            tokens=self.model.target_tokens(encoded),
            padded=sum(len(p) * max(e.length for e in p) for p in passes),
            ids=[f"{self.names[task]}/{self.examples[task][row].id}" for task, row in draws],
            counts={name: tasks.count(name) for name in sorted(set(tasks))},
        )

    def _group(self, window: int) -> list[list[tuple[int, int]]]:
        """A window's draws sorted by length and cut into batches, the batches in random order."""
        size = WINDOW * self.batch
        tasks, rows = self.sampler.draws(window * size, (window + 1) * size)
        draws = list(zip(tasks.tolist(), rows.tolist(), strict=True))
        self._encode(draws)
        draws.sort(key=lambda draw: self.encoded[draw[0]][draw[1]].length)
        order = np.random.Generator(np.random.Philox(key=[self.sampler.seed, window])).permutation(WINDOW)
        return [draws[k * self.batch : (k + 1) * self.batch] for k in order]

    def _encode(self, draws: Sequence[tuple[int, int]]) -> None:
        for task in {task for task, _ in draws}:
            new = sorted({row for t, row in draws if t == task} - self.encoded[task].keys())
            encoded = self.model.encode([self.examples[task][row] for row in new])
            self.encoded[task].update(zip(new, encoded, strict=True))


def by_length(encoded: Sequence[Any], budget: int) -> list[list[int]]:
    """Indices in batches of at most `budget` padded input tokens, longest first so that memory fails early."""
    order = sorted(range(len(encoded)), key=lambda k: -encoded[k].length)
    batches: list[list[int]] = []
    for k in order:
        if batches and (len(batches[-1]) + 1) * encoded[batches[-1][0]].length <= budget:
            batches[-1].append(k)
        else:
            batches.append([k])
    return batches
