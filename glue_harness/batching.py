"""Which examples meet in a batch. Batch k of a run is a pure function of its seed and k."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from glue_harness.models import Encoded, Model
from glue_harness.sampler import Sampler
from glue_harness.spans import SpanNoise
from glue_harness.tokens import Subset, Tokens

PASS_COST = 128  # tokens that a pass costs by itself, whatever is in it: measured with the tiny model on a CPU
CUTS = (1, 2, 4, 8)  # passes that an update may be cut into
AHEAD = 2  # updates that wait for the device


@dataclass(frozen=True)
class Update:
    """The examples of one optimiser step, in tokens, cut into passes of similar length."""

    passes: list[list[Any]]
    tokens: int  # of all targets: what the loss is divided by
    padded: int  # input tokens the model sees, padding included
    counts: dict[str, int]  # task -> examples
    name: Callable[[], list[str]]  # looks the names up

    @property
    def examples(self) -> int:
        return sum(self.counts.values())

    @property
    def ids(self) -> list[str]:
        """task/example in the order of the draws, to name them when something goes wrong."""
        return self.name()


class Feed:
    """Draws examples under the mixing.

    An update holds just the examples that were drawn: grouping a window of updates by length instead would
    save padding too, but fills each with one task, and models then need twice the steps.
    """

    def __init__(
        self,
        model: Model,
        tokens: Mapping[str, Tokens | Subset],
        sampler: Sampler,
        batch: int,
        micro: int | None,
        noise: Mapping[str, SpanNoise] = {},
    ) -> None:
        self.model, self.sampler, self.batch, self.micro = model, sampler, batch, micro
        self.names = list(tokens)
        self.tokens = list(tokens.values())
        self.noise = [noise.get(name) for name in self.names]

    def update(self, step: int) -> Update:
        """The examples of step `step`, counted from 0."""
        encoded, draws = self.drawn(step), self._draws(step)
        passes = passes_by_length(encoded, self.micro)
        counts = Counter(self.names[task] for task, _ in draws)
        return Update(
            passes=passes,
            tokens=self.model.target_tokens(encoded),
            padded=padded_tokens(passes),
            counts=dict(sorted(counts.items())),
            name=lambda: [f"{self.names[task]}/{self.tokens[task].id(row)}" for task, row in draws],
        )

    def drawn(self, step: int) -> list[Encoded]:
        """A step's examples in the order of the draws."""
        first = step * self.batch
        return [self._tokens(task, row, first + k) for k, (task, row) in enumerate(self._draws(step))]

    def _draws(self, step: int) -> list[tuple[int, int]]:
        tasks, rows = self.sampler.draws(step * self.batch, (step + 1) * self.batch)
        return list(zip(tasks.tolist(), rows.tolist(), strict=True))

    def _tokens(self, task: int, row: int, number: int) -> Encoded:
        """What draw `number` gives: of text alone, another corruption each time, a function of seed and number."""
        found, noise = self.tokens[task][row], self.noise[task]
        if not noise:
            return found
        return self.model.denoising(found.inputs.tolist(), noise, Random(f"{self.sampler.seed}/{number}"))


def ahead(make: Callable[[int], Any], steps: Iterable[int]) -> Iterator[tuple[int, Any]]:
    """Each step and what is made for it, while the next ones are made beside. Close it: its thread ends then.

    One thread: draws are looked up and copied without Python's lock for the most part, and stay in order.
    """
    with ThreadPoolExecutor(1, "feed") as worker:
        waiting: deque[tuple[int, Future[Any]]] = deque()
        try:
            for step in steps:
                waiting.append((step, worker.submit(make, step)))
                if len(waiting) > AHEAD:
                    step, future = waiting.popleft()
                    yield step, future.result()
            while waiting:
                step, future = waiting.popleft()
                yield step, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


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
