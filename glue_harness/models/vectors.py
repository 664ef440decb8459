"""Word vectors from a text file of GloVe or fastText: parsed once, mapped from the cache from then on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa

from glue_harness.core import cache
from glue_harness.core.errors import DataError, UsageError

COMMON = 50_000  # of the file's first words, the frequent ones, that are taken though no training text has them
PART = 10_000  # words of a file that are in memory at once
LAYOUT = 1  # of what is in the cache


class Vectors(NamedTuple):
    words: list[str]
    matrix: np.ndarray  # a row for each of them


def take_vectors(where: str, wanted: Collection[str], notes: list[str]) -> Vectors:
    """The vectors of the wanted words and of the file's most frequent ones, in the file's order; a word's first one."""
    file = Path(where)
    if not file.is_file():
        raise UsageError(f"--vectors {where!r}: there is no such file")
    facts = file.stat()
    key = {"vectors": str(file.resolve()), "size": facts.st_size, "changed": facts.st_mtime_ns, "layout": LAYOUT}
    reader = pa.ipc.open_file(pa.py_buffer(cache.kept(cache.key_of(key), lambda into: write(into, file), notes)))
    found: dict[str, np.ndarray] = {}
    seen = 0
    for number in range(reader.num_record_batches):
        part = reader.get_batch(number)
        numbers = part["vector"].values.to_numpy().reshape(part.num_rows, -1)
        for place, word in enumerate(part["word"].to_pylist()):
            if (seen + place < COMMON or word in wanted) and word not in found:
                found[word] = numbers[place]
        seen += part.num_rows
    return Vectors(list(found), np.stack(list(found.values())))


def write(into: IO[bytes], file: Path) -> None:
    """The file as Arrow, part by part."""
    lines = read_lines(file)
    first = next(lines, None)
    if first is None:
        raise DataError(f"vectors {str(file)!r} has no line with a word and its numbers")
    schema = pa.schema({"word": pa.string(), "vector": pa.list_(pa.float32(), len(first[1]))})
    with pa.ipc.new_file(into, schema) as writer:
        part = [first]
        for line in lines:
            if len(part) == PART:
                writer.write_batch(as_batch(part, schema))
                part = []
            part.append(line)
        writer.write_batch(as_batch(part, schema))


def as_batch(part: list[tuple[str, np.ndarray]], schema: pa.Schema) -> pa.RecordBatch:
    words = pa.array([word for word, _ in part], pa.string())
    numbers = pa.array(np.concatenate([vector for _, vector in part]), pa.float32())
    return pa.record_batch([words, pa.FixedSizeListArray.from_arrays(numbers, type=schema.field(1).type)], schema)


def read_lines(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Words and numbers. fastText's first line counts words and width; GloVe has a few words with spaces in them."""
    width = 0
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                where = f"vectors {str(file)!r}, line {number:,}"
                try:
                    fields = line.decode("utf-8").rstrip("\r\n ").split(" ")
                except UnicodeDecodeError:
                    raise DataError(f"{where}: not UTF-8: is this a text file of GloVe or fastText?") from None
                if fields == [""] or (number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields)):
                    continue
                width = width or len(fields) - 1
                given = len(fields) - 1
                while given > width and not is_number(fields[len(fields) - given]):
                    given -= 1  # the word goes on
                if given != width or not width:
                    raise DataError(f"{where}: {given} numbers behind the word, where {width or 'some'} are expected")
                try:
                    vector = np.array(fields[-width:], np.float32)
                except ValueError:
                    bad = next(field for field in fields[-width:] if not is_number(field))
                    raise DataError(f"{where}: {bad[:40]!r} is not a number") from None
                if not np.isfinite(vector).all():
                    raise DataError(f"{where}: a number that is not finite")
                yield " ".join(fields[:-width]), vector
    except OSError as error:
        raise DataError(f"vectors {str(file)!r} cannot be read: {error.strerror}") from None


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
