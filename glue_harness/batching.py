"""Which examples meet in a batch. Batch k of a run is a pure function of its seed and k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from glue_harness.models import Model
from glue_harness.sampler import Sampler
from glue_harness.spans import SpanNoise
from glue_harness.task import Example

PASS_COST = 128  # tokens that a pass costs by itself, whatever is in it: measured with the tiny model on a CPU
CUTS = (1, 2, 4, 8)  # passes that an update may be cut into


@dataclass(frozen=True)
class Update:
    """The examples of one optimiser step, in tokens, cut into passes of similar length."""

    passes: list[list[Any]]
    tokens: int  # of all targets: what the loss is divided by
    padded: int  # input tokens the model sees, padding included
    ids: list[str]  # task/example, to name them when something goes wrong
    counts: dict[str, int]  # task -> examples


class Feed:
    """Draws examples under the mixing and tokenises each once.

    An update holds just the examples that were drawn: grouping a window of updates by length instead would
    save padding too, but fills each with one task, and models then need twice the steps.
    """

    def __init__(
        self,
        model: Model,
        examples: Mapping[str, Sequence[Example]],
        sampler: Sampler,
        batch: int,
        micro: int | None,
        noise: Mapping[str, SpanNoise] = {},
    ) -> None:
        self.model, self.sampler, self.batch, self.micro = model, sampler, batch, micro
        self.names = list(examples)
        self.examples = list(examples.values())
        self.noise = [noise.get(name) for name in self.names]
        self.encoded: list[dict[int, Any]] = [{} for _ in self.names]  # of text alone, only its token ids

    def update(self, step: int) -> Update:
        """The examples of step `step`, counted from 0."""
        first = step * self.batch
        tasks, rows = self.sampler.draws(first, first + self.batch)
        draws = list(zip(tasks.tolist(), rows.tolist(), strict=True))
        self._encode(draws)
        encoded = [self._drawn(task, row, first + k) for k, (task, row) in enumerate(draws)]
        passes = passes_by_length(encoded, self.micro)
        names = [self.names[task] for task, _ in draws]
        return Update(
            passes=passes,
            tokens=self.model.target_tokens(encoded),
            padded=padded_tokens(passes),
            ids=[f"{self.names[task]}/{self.examples[task][row].id}" for task, row in draws],
            counts={name: names.count(name) for name in sorted(set(names))},
        )

    def _encode(self, draws: Sequence[tuple[int, int]]) -> None:
        for task in {task for task, _ in draws}:
            new = sorted({row for t, row in draws if t == task} - self.encoded[task].keys())
            examples = [self.examples[task][row] for row in new]
            if self.noise[task]:
                encoded = self.model.tokenizer.encode([example.inputs for example in examples])
            else:
                encoded = self.model.encode(examples)
            self.encoded[task].update(zip(new, encoded, strict=True))

    def _drawn(self, task: int, row: int, number: int) -> Any:
        """What draw `number` gives: of text alone, another corruption each time, a function of seed and number."""
        found, noise = self.encoded[task][row], self.noise[task]
        return self.model.denoising(found, noise, Random(f"{self.sampler.seed}/{number}")) if noise else found


def passes_by_length(encoded: Sequence[Any], most: int | None) -> list[list[Any]]:
    """Cuts an update, sorted by length, into the number of passes that costs least; none above `most` examples."""
    ordered = sorted(encoded, key=lambda e: e.length)
    sizes = {-(-len(ordered) // cuts) for cuts in CUTS}
    allowed = [size for size in sizes if most is None or size <= most] or [most]
    options = [[ordered[k : k + size] for k in range(0, len(ordered), size)] for size in sorted(allowed, reverse=True)]
    return min(options, key=lambda passes: padded_tokens(passes) + PASS_COST * len(passes))


def padded_tokens(passes: Sequence[Sequence[Any]]) -> int:
    return sum(len(part) * max(e.length for e in part) for part in passes)


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
