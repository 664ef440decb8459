"""What a teacher makes of a split's examples: computed once, kept by what it was computed from, laid by tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import IO, Any, overload

import numpy as np
import pyarrow as pa

from glue_harness.core.task import Task
from glue_harness.models.interface import Encoded, Model
from glue_harness.models.teaching import mean_of, two_neighbours
from glue_harness.train.tokens import CHUNK, Lengths, Subset, Tokens, lists, offsets_and_values

SHARES = "shares"


class Shares(Sequence[list[float]]):
    """A list for each example, from an Arrow file: its choices' shares, or the one number that the teacher answers."""

    def __init__(self, file: Any) -> None:
        reader = pa.ipc.open_file(pa.py_buffer(file))
        parts = [reader.get_batch(k) for k in range(reader.num_record_batches)]
        self.parts = [offsets_and_values(part[SHARES]) for part in parts]
        self.size = sum(part.num_rows for part in parts)

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, row: int) -> list[float]: ...
    @overload
    def __getitem__(self, row: slice) -> list[list[float]]: ...
    def __getitem__(self, row: int | slice) -> list[float] | list[list[float]]:
        if isinstance(row, slice):
            return [self[k] for k in range(self.size)[row]]
        part, place = divmod(row, CHUNK)
        offsets, values = self.parts[part]
        return values[offsets[place] : offsets[place + 1]].tolist()


def write(file: IO[bytes], chunks: Iterable[Sequence[Sequence[float]]]) -> None:
    """Every chunk but the last has CHUNK examples."""
    schema = pa.schema({SHARES: pa.list_(pa.float32())})
    with pa.ipc.new_file(file, schema) as writer:
        for chunk in chunks:
            writer.write_batch(pa.record_batch([lists([np.asarray(s) for s in chunk], pa.float32())], schema))


class Taught(Sequence[Encoded]):
    """A task's examples in a student's tokens, each with what the teacher makes of it, as this student can learn it."""

    def __init__(
        self, tokens: Tokens | Subset, shares: Shares, task: Task, model: Model, choices: Sequence[tuple[str, ...]]
    ) -> None:
        """`choices`: of each example, where the task has not the same for all."""
        assert len(tokens) == len(shares), "an example for an example"
        self.tokens, self.shares, self.choices = tokens, shares, choices
        self.scale = [float(choice) for choice in task.choices] if task.kind == "regress" else []
        self.writes: Callable[[Sequence[str]], list[list[int]]] | None = getattr(model, "option_tokens", None)
        self.options = self.writes(task.choices) if self.writes and task.choices else []

    def __len__(self) -> int:
        return len(self.tokens)

    @overload
    def __getitem__(self, row: int) -> Encoded: ...
    @overload
    def __getitem__(self, row: slice) -> list[Encoded]: ...
    def __getitem__(self, row: int | slice) -> Encoded | list[Encoded]:
        if isinstance(row, slice):
            return [self[k] for k in range(len(self))[row]]
        found, shares = self.tokens[row], self.shares[row]
        if self.writes is None:
            is_text = bool(self.scale) and len(shares) > 1  # the teacher writes its numbers
            return replace(found, soft=[mean_of(shares, self.scale)] if is_text else shares)
        if self.scale and len(shares) == 1:
            shares = two_neighbours(shares[0], self.scale)
        return replace(found, soft=shares, options=self.options or self.writes(self.choices[row]))

    def id(self, row: int) -> str:
        return self.tokens.id(row)

    def lengths(self) -> Lengths:
        return self.tokens.lengths()
