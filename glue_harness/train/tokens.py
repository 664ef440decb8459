"""A split in tokens: made once, in parts, so that memory does not grow with the rows, and mapped from a cache."""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, overload

import numpy as np
import pyarrow as pa

from glue_harness.core import cache
from glue_harness.core.task import Example, Task
from glue_harness.data import Rows
from glue_harness.data.rows import examples_of
from glue_harness.models.interface import Encoded, Model
from glue_harness.models.packing import Stream
from glue_harness.train import code

CHUNK = 4096  # examples that are tokenised, written and looked up together
STREAM, MARKS, GOLD, LOST = "stream", "marks", "gold", "lost"  # columns
SMALL = 5000  # rows that are tokenised again sooner than a file is written and found
LIBRARIES = ("sentencepiece", "tokenizers", "pyarrow")  # what they make of a text may change with their version


class Lengths(NamedTuple):
    """How long examples are, all streams together, and what was cut off because they would have been longer."""

    examples: int
    tokens: int  # kept
    cut: int  # examples that lost some
    lost: int  # tokens

    @property
    def share(self) -> float:
        """Of the examples, those that were cut."""
        return self.cut / self.examples if self.examples else 0.0

    @property
    def share_lost(self) -> float:
        """Of all tokens, those that were cut off."""
        return self.lost / (self.tokens + self.lost) if self.lost else 0.0


class Tokens(Sequence[Encoded]):
    """The examples of a split, read from an Arrow file: arrays are made when asked for."""

    def __init__(self, file: Any, head: str) -> None:
        reader = pa.ipc.open_file(pa.py_buffer(file))
        self.parts = [reader.get_batch(k) for k in range(reader.num_record_batches)]
        names = [name for name in reader.schema.names if name.startswith(STREAM)]
        self.streams = [[offsets_and_values(part[name]) for part in self.parts] for name in names]
        marked = MARKS in reader.schema.names
        self.marks = [offsets_and_values(part[MARKS]) for part in self.parts] if marked else None
        self.golds = [part[GOLD] for part in self.parts] if GOLD in reader.schema.names else None
        self.lost = [part[LOST] for part in self.parts]
        self.size = sum(part.num_rows for part in self.parts)
        self.head = head

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, row: int) -> Encoded: ...
    @overload
    def __getitem__(self, row: slice) -> Subset: ...
    def __getitem__(self, row: int | slice) -> Encoded | Subset:
        if isinstance(row, slice):
            return Subset(self, range(self.size)[row])
        part, place = divmod(row, CHUNK)
        streams = tuple(sequence(*of_parts[part], place) for of_parts in self.streams)
        if self.golds is None:
            return Encoded(streams)
        marks = sequence(*self.marks[part], place) if self.marks else ()
        return Encoded(streams, self.golds[part][place].as_py(), self.head, marks=marks)

    def lengths(self, rows: Sequence[int] | np.ndarray | None = None) -> Lengths:
        """Of all examples, or those of some numbers."""
        kept = np.zeros(self.size, int)
        for parts in self.streams:
            kept += np.concatenate([np.zeros(0, int), *(np.diff(offsets) for offsets, _ in parts)])
        lost = np.concatenate([np.zeros(0, int), *(buffer_of(part, np.int32) for part in self.lost)])
        if rows is not None:
            kept, lost = kept[rows], lost[rows]
        return Lengths(len(lost), int(kept.sum()), int((lost > 0).sum()), int(lost.sum()))

    def id(self, row: int) -> str:
        """The example's name: the number of its row, and which of the row's examples it is."""
        part, place = divmod(row, CHUNK)
        return self.parts[part]["id"][place].as_py()


class Subset(Sequence[Encoded]):
    """Some of a split's examples, by their numbers."""

    def __init__(self, tokens: Tokens, rows: Sequence[int] | np.ndarray) -> None:
        self.tokens, self.rows = tokens, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, row: int) -> Encoded: ...
    @overload
    def __getitem__(self, row: slice) -> Subset: ...
    def __getitem__(self, row: int | slice) -> Encoded | Subset:
        if isinstance(row, slice):
            return Subset(self.tokens, self.rows[row])
        return self.tokens[self.rows[row]]

    def id(self, row: int) -> str:
        return self.tokens.id(self.rows[row])

    def lengths(self) -> Lengths:
        return self.tokens.lengths(self.rows)


def offsets_and_values(column: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """Its buffers as they lie in the file; `to_numpy` would import pandas."""
    _, offsets, _, values = column.buffers()
    token = column.type.value_type.to_pandas_dtype()
    return np.frombuffer(offsets, np.int32), np.frombuffer(values, token) if values else np.empty(0, token)


def sequence(offsets: np.ndarray, values: np.ndarray, place: int) -> np.ndarray:
    """Widened, because arithmetic on 16 bits without a sign is full of traps."""
    return values[offsets[place] : offsets[place + 1]].astype(np.int32)


def tokens_of(
    task: Task, rows: Rows, model: Model, notes: list[str], examples: Sequence[Example] | None = None
) -> Tokens:
    """A split's tokens, made unless the cache has them; of `examples`, where its rows were made into these already."""

    def make(file: IO[bytes]) -> None:
        write(file, task, examples_of(task, rows) if examples is None else iter(examples), model)

    if len(rows) <= SMALL:
        return Tokens(cache.in_memory(make), task.name)
    if task.file is None:  # no file, no way to know whether the task has changed
        return Tokens(cache.unnamed(make), task.name)
    return Tokens(cache.kept(key(task, rows, model), make, notes), task.name)


def key(task: Task, rows: Rows, model: Model) -> str:
    """Names all that tokens depend on."""
    assert task.file, "what has no file is not kept"
    return cache.key_of(
        {
            "task": task.name,
            "rows": rows.fingerprint,
            "code": code.digest(task.file, Path(inspect.getfile(type(model))), Path(__file__)),
            "vocabulary": model.fingerprint,
            "lengths": list(model.lengths),
            "versions": [sys.version_info[:2], *map(version, LIBRARIES)],
        }
    )


def write(file: IO[bytes], task: Task, examples: Iterator[Example], model: Model) -> None:
    """Examples as an Arrow file of parts of equal size: an id, a list for each stream, and a gold number if any."""
    token = pa.uint16() if model.vocabulary <= 2**16 else pa.int32()
    first = list(islice(examples, CHUNK))
    encoded = model.encode(task, first)
    has_gold = bool(encoded) and encoded[0].gold is not None
    has_marks = bool(encoded) and len(encoded[0].marks) > 0
    names = [f"{STREAM}{k}" for k in range(len(encoded[0].streams) if encoded else 1)]
    fields = {"id": pa.string(), **dict.fromkeys(names, pa.list_(token)), **({GOLD: pa.float64()} if has_gold else {})}
    fields |= {MARKS: pa.list_(pa.int32())} if has_marks else {}
    fields[LOST] = pa.int32()
    schema = pa.schema(fields)
    with nothing_old_collected(), pa.ipc.new_file(file, schema) as writer:
        while encoded:
            columns = [strings([example.id for example in first])]
            columns += [lists([e.streams[k] for e in encoded], token) for k in range(len(names))]
            if has_gold:
                columns.append(numbers([e.gold for e in encoded], pa.float64()))
            if has_marks:
                columns.append(lists([e.marks for e in encoded], pa.int32()))
            columns.append(numbers([e.lost for e in encoded], pa.int32()))
            writer.write_batch(pa.record_batch(columns, schema))
            first = list(islice(examples, CHUNK))
            encoded = model.encode(task, first)


@contextlib.contextmanager
def nothing_old_collected() -> Iterator[None]:
    """Many new lists make Python look for garbage over and over: half of the time, unless it passes over the rest."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def lists(sequences: Sequence[Stream], token: pa.DataType) -> pa.Array:
    """Made of buffers, as `pa.array` would import pandas to ask whether these are its own."""
    offsets = offsets_of(sequences)
    values = np.fromiter(chain.from_iterable(sequences), token.to_pandas_dtype(), offsets[-1])
    inner = pa.Array.from_buffers(token, len(values), [None, pa.py_buffer(values)])
    return pa.Array.from_buffers(pa.list_(token), len(sequences), [None, pa.py_buffer(offsets)], children=[inner])


def numbers(values: Sequence[float | None], kind: pa.DataType) -> pa.Array:
    buffer = pa.py_buffer(np.asarray(values, kind.to_pandas_dtype()))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])


def buffer_of(column: pa.Array, kind: type) -> np.ndarray:
    """A column of numbers as it lies in the file."""
    return np.frombuffer(column.buffers()[1], kind, len(column)) if len(column) else np.empty(0, kind)


def strings(texts: Sequence[str]) -> pa.Array:
    encoded = [text.encode() for text in texts]
    buffers = [None, pa.py_buffer(offsets_of(encoded)), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def offsets_of(sequences: Sequence[Any]) -> np.ndarray:
    """Where each begins when all stand in one row, and where the last one ends."""
    offsets = np.zeros(len(sequences) + 1, np.int32)
    np.cumsum([len(s) for s in sequences], out=offsets[1:])
    return offsets
