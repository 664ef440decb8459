"""Rows as the rest of the harness sees them: a sequence in the Hub's schema, with its evidence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.core.errors import DataError
from glue_harness.core.task import Row

if TYPE_CHECKING:
    import pyarrow


class Read(NamedTuple):
    """What a source gave, not yet checked."""

    rows: Sequence[Row]
    origin: str  # for people and records: names no machine
    notes: Sequence[str] = ()  # of a file, complete once it was read to its end


@dataclass(frozen=True, eq=False)
class Rows(Sequence[Row]):
    """The checked rows of one split, and what is needed to say which rows they were."""

    rows: Sequence[Row] = field(repr=False)
    split: str  # the Hub's name
    origin: str
    official: int | None  # rows of the official split, where known
    fingerprint: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_record(self) -> dict[str, Any]:
        return {
            "split": self.split,
            "rows": len(self),
            "official": self.official,
            "origin": self.origin,
            "fingerprint": self.fingerprint,
            "notes": list(self.notes),
        }


class ArrowRows(Sequence[Row]):
    """Rows of an Arrow table, made into dicts when they are asked for: a large split stays on disk."""

    def __init__(self, table: pyarrow.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, index: int | slice) -> Any:
        wanted = range(len(self))[index]
        if isinstance(wanted, range):
            return [self[number] for number in wanted]
        return self.table.slice(wanted, 1).to_pylist()[0]

    def __iter__(self) -> Iterator[Row]:
        for batch in self.table.to_batches(max_chunksize=1024):
            try:
                batch.validate(full=True)  # damaged offsets would be followed, out of the file
            except ValueError as error:
                raise DataError(f"Arrow data is damaged: {error}: save or download it again") from None
            yield from batch.to_pylist()


class StreamedRows(Sequence[Row]):
    """Rows of files, read anew each time that someone goes through them: in memory is only how many they are."""

    def __init__(self, files: Sequence[Path], read: Callable[[], Iterator[Row]]) -> None:
        self.files, self.read = files, read
        self.count: int | None = None
        self.stamps = stamps(files)

    def __len__(self) -> int:
        if self.count is None:
            self.count = sum(1 for _ in self)
        return self.count

    def __iter__(self) -> Iterator[Row]:
        for file, before, now in zip(self.files, self.stamps, stamps(self.files), strict=True):
            if before != now:
                raise DataError(f"{file} was changed while it was in use: start again")
        count = 0
        for count, row in enumerate(self.read(), 1):  # noqa: B007
            yield row
        self.count = count

    def __getitem__(self, index: int | slice) -> Any:
        """Goes through the rows up to there."""
        wanted = range(len(self))[index]
        if not isinstance(wanted, range):
            return next(islice(self, wanted, None))
        forward = wanted if wanted.step > 0 else wanted[::-1]
        rows = list(islice(self, forward.start, forward.stop, forward.step))
        return rows if wanted.step > 0 else rows[::-1]


def stamps(files: Sequence[Path]) -> list[tuple[int, int]]:
    """What changes with a file's content; nothing of a file that cannot be read, which its reader will say."""
    return [(s.st_mtime_ns, s.st_size) if (s := status(file)) else (0, 0) for file in files]


def status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
