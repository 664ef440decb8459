"""Which example comes next: draw i is a function of (seed, i), so the state of a run is one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 65_536  # draws that are made at once
CHOICES = 0  # the random stream that chooses tasks; task t's rows are shuffled by stream t + 1


def words(seed: int, stream: int, first: int, count: int) -> np.ndarray:
    """Random 64-bit words `first` to `first + count` of a stream; both are multiples of 4.

    Philox is counter-based: any place is reached at once, and its raw words, unlike numpy's
    distributions, are the same in every version.
    """
    key = np.array([seed % 2**64, stream], np.uint64)
    counter = np.array([first // 4, 0, 0, 0], np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


class Sampler:
    """Draws tasks independently, and each task's rows in shuffled epochs."""

    def __init__(self, seed: int, sizes: Sequence[int], probabilities: Sequence[float]) -> None:
        """`sizes` and `probabilities` are aligned; T5's order of tasks is by name."""
        if any(p > 0 and n < 1 for n, p in zip(sizes, probabilities, strict=True)):
            raise ValueError(f"a task without rows cannot be drawn: sizes {sizes}, probabilities {probabilities}")
        self.seed = seed
        self.sizes = sizes
        self._cumulative = np.cumsum(probabilities, dtype=np.float64)
        self._cumulative /= self._cumulative[-1]
        self._seen = [np.zeros(len(sizes), np.int64)]  # draws of each task before block 0, 1, ...
        self._block: tuple[int, np.ndarray, np.ndarray] | None = None  # the last one made: number, tasks, rows
        self._orders: dict[int, tuple[int, int, np.ndarray]] = {}  # task -> the last epochs shuffled: first, last, rows

    def draws(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """The task index and the row index of draws `start` to `stop`."""
        tasks, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for block in range(start // BLOCK, -(-stop // BLOCK)):
            of_block = slice(max(start - block * BLOCK, 0), stop - block * BLOCK)
            block_tasks, block_rows = self._made(block)
            tasks.append(block_tasks[of_block])
            rows.append(block_rows[of_block])
        return np.concatenate(tasks), np.concatenate(rows)

    def _made(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        if self._block is None or self._block[0] != block:
            while len(self._seen) <= block:
                before = np.bincount(self._tasks(len(self._seen) - 1), minlength=len(self.sizes))
                self._seen.append(self._seen[-1] + before)
            tasks, rows = self._tasks(block), np.empty(BLOCK, np.int64)
            for task in np.unique(tasks):
                draws = np.flatnonzero(tasks == task)
                epochs, places = np.divmod(self._seen[block][task] + np.arange(len(draws)), self.sizes[task])
                rows[draws] = self._shuffled(int(task), int(epochs[0]), int(epochs[-1]))[epochs - epochs[0], places]
            self._block = block, tasks, rows
        return self._block[1:]

    def _tasks(self, block: int) -> np.ndarray:
        uniform = (words(self.seed, CHOICES, block * BLOCK, BLOCK) >> np.uint64(11)) * 2.0**-53
        return np.searchsorted(self._cumulative, uniform, side="right")

    def _shuffled(self, task: int, first: int, last: int) -> np.ndarray:
        """The order of a task's rows in each epoch from `first` to `last`, one epoch a line."""
        if self._orders.get(task, ())[:2] != (first, last):
            size = self.sizes[task]
            width = size + -size % 4
            drawn = words(self.seed, task + 1, first * width, (last - first + 1) * width)
            order = drawn.reshape(-1, width)[:, :size].argsort(axis=1, kind="stable")
            self._orders[task] = first, last, order
        return self._orders[task][2]
