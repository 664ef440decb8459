"""Which examples meet in a batch. Batch k of a run is a pure function of its seed and k."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from random import Random
from threading import Lock
from typing import Any, NamedTuple

from glue_harness.core.task import Noise
from glue_harness.data.sampler import Sampler
from glue_harness.models.interface import Encoded, Model, Other
from glue_harness.models.packing import FINE, Grid, PackedRow, t5_rows
from glue_harness.train.arrangement import Arrangement, Pass, as_passes
from glue_harness.train.lessons import Taught
from glue_harness.train.tokens import Subset, Tokens

AHEAD = 2  # updates that wait for the device
GROUPS_KEPT = 4  # of T5's packer: an update touches two or three


@dataclass(frozen=True)
class Update:
    """The examples of one optimiser step, in tokens."""

    passes: Sequence[Pass]
    terms: int  # of the loss of all examples (of a T5: their target tokens): what the loss is divided by
    padded: int  # input tokens the model sees, padding included
    counts: dict[str, int]  # task -> examples
    tasks: list[str]  # what a pass numbers
    task_terms: list[int]  # of each of them
    name: Callable[[], list[str]]  # looks the names up

    @property
    def examples(self) -> int:
        return sum(self.counts.values())

    @property
    def ids(self) -> list[str]:
        """task/example in the order of the draws, to name them when something goes wrong."""
        return self.name()


class Drawn(NamedTuple):
    task: int
    row: int
    encoded: Encoded


class Feed:
    """Draws examples under the mixing: so many an update.

    An update holds just the examples that were drawn: grouping a window of updates by length instead would
    save padding too, but fills each with one task, and models then need twice the steps.
    """

    def __init__(
        self,
        model: Model,
        tokens: Mapping[str, Tokens | Subset | Taught],
        sampler: Sampler,
        batch: int,
        arrange: Arrangement,
        grid: Grid = FINE,
        noise: Mapping[str, Noise] = {},
    ) -> None:
        self.model, self.sampler, self.batch = model, sampler, batch
        self.arrange, self.grid = arrange, grid
        self.names = list(tokens)
        self.tokens = list(tokens.values())
        self.noise = [noise.get(name) for name in self.names]
        self.one_at_a_time = Lock()  # a thread makes updates ahead while another may ask what was in one

    def update(self, step: int) -> Update:
        """The examples of step `step`, counted from 0."""
        with self.one_at_a_time:
            return self._update(step)

    def drawn(self, step: int) -> list[Encoded]:
        """A step's examples in the order of the draws."""
        with self.one_at_a_time:
            return self._drawn(step)

    def _update(self, step: int) -> Update:
        drawn = self.draws(step * self.batch, (step + 1) * self.batch)
        return self._made(drawn, self.arrange([d.encoded for d in drawn]))

    def _drawn(self, step: int) -> list[Encoded]:
        return [d.encoded for d in self.draws(step * self.batch, (step + 1) * self.batch)]

    def examples_an_update(self) -> float:
        return self.batch

    def draws(self, start: int, stop: int) -> list[Drawn]:
        tasks, rows = self.sampler.draws(start, stop)
        pairs = zip(tasks.tolist(), rows.tolist(), strict=True)
        return [Drawn(task, row, self._tokens(task, row, start + k)) for k, (task, row) in enumerate(pairs)]

    def _made(self, drawn: Sequence[Drawn], passes: Sequence[Sequence[PackedRow]]) -> Update:
        encoded = [d.encoded for d in drawn]
        made = as_passes(passes, encoded, [d.task for d in drawn], self.grid)
        return Update(
            passes=made,
            terms=sum(e.terms for e in encoded),
            padded=sum(part.padded for part in made),
            counts=dict(sorted(Counter(self.names[d.task] for d in drawn).items())),
            tasks=self.names,
            task_terms=[sum(d.encoded.terms for d in drawn if d.task == k) for k in range(len(self.names))],
            name=lambda: [f"{self.names[d.task]}/{self.tokens[d.task].id(d.row)}" for d in drawn],
        )

    def _tokens(self, task: int, row: int, number: int) -> Encoded:
        """What draw `number` gives: of text alone, another corruption each time, a function of seed and number."""
        found, noise = self.tokens[task][row], self.noise[task]
        if noise:
            random = Random(f"{self.sampler.seed}/{number}")
            found = self.model.corrupt(found, noise, random, another(self.tokens[task], row))
        return with_prompt(found, self.model)


class PackedFeed(Feed):
    """Updates of so many rows of T5's own packer, as T5 counts its batches.

    Where an update begins depends on how all examples before it were packed: their number of rows is counted once.
    """

    def __init__(self, *arguments: Any, height: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.lengths, self.height = self.model.lengths, height
        self.size = max(self.lengths)  # examples that T5's packer reads at once
        self.before = [0]  # rows before group 0, 1, ...
        self._group = lru_cache(maxsize=GROUPS_KEPT)(self._packed)

    def _update(self, step: int) -> Update:
        rows = self._rows(step)
        numbers = count()
        return self._made([d for row in rows for d in row], [[[next(numbers) for _ in row] for row in rows]])

    def _drawn(self, step: int) -> list[Encoded]:
        return [d.encoded for row in self._rows(step) for d in row]

    def _rows(self, step: int) -> list[list[Drawn]]:
        start, stop = step * self.height, (step + 1) * self.height
        while self.before[-1] < stop:
            self.before.append(self.before[-1] + len(self._group(len(self.before) - 1)))
        first = bisect_right(self.before, start) - 1
        rows = [row for group in range(first, bisect_left(self.before, stop)) for row in self._group(group)]
        return rows[start - self.before[first] : stop - self.before[first]]

    def examples_an_update(self) -> float:
        return self.size / len(self._group(0)) * self.height

    def _packed(self, group: int) -> list[list[Drawn]]:
        drawn = self.draws(group * self.size, (group + 1) * self.size)
        rows = t5_rows([d.encoded.sizes for d in drawn], self.lengths)
        return [[drawn[k] for k in row] for row in rows]


def another(texts: Sequence[Encoded], place: int) -> Other:
    """Draws a text that is not the one in that place; of a single text, that one."""

    def draw(random: Random) -> Encoded:
        drawn = random.randrange(max(1, len(texts) - 1))
        return texts[drawn + (drawn >= place and len(texts) > 1)]

    return draw


def with_prompt(encoded: Encoded, model: Model) -> Encoded:
    """The example with the room that the model's prompt takes in front of it."""
    return replace(encoded, prompt=model.prompt_length) if model.prompt_length else encoded


def ahead(make: Callable[[int], Any], steps: Iterable[int]) -> Generator[tuple[int, Any], None, None]:
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


def by_length(encoded: Sequence[Encoded], budget: int, waste: int) -> list[list[int]]:
    """Indices in batches of at most `budget` padded input tokens, longest first so that memory fails early.

    A batch also ends when its padding has reached `waste`: what one more batch costs by itself.
    """
    batches: list[list[int]] = []
    longest = lost = 0
    for k in sorted(range(len(encoded)), key=lambda k: -encoded[k].length):
        lost += longest - encoded[k].length
        if batches and lost <= waste and (len(batches[-1]) + 1) * longest <= budget:
            batches[-1].append(k)
        else:
            batches.append([k])
            longest, lost = encoded[k].length, 0
    return batches
