"""Rows as the rest of the harness sees them: a sequence in the Hub's schema, with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.task import Row

if TYPE_CHECKING:
    import pyarrow


class Read(NamedTuple):
    """What a source gave, not yet checked."""

    rows: Sequence[Row]
    origin: str  # for people and records: names no machine
    notes: tuple[str, ...] = ()


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
            yield from batch.to_pylist()
