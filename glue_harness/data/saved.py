"""Rows in the Hub's schema from files: saved by `datasets`, parquet, JSON lines, plain text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glue_harness.core.errors import DataError
from glue_harness.core.reading import json_value, open_file, read_small
from glue_harness.core.task import Row
from glue_harness.data.lines import json_records, paragraphs
from glue_harness.data.rows import ArrowRows, StreamedRows

if TYPE_CHECKING:
    import pyarrow

LARGEST_STATE = 2**20  # bytes
Reader = Callable[[Sequence[Path]], Sequence[Row]]


def readers(split: str) -> dict[str, Reader]:
    """The files that may hold a split in a task's folder, and who reads them."""
    return {
        f"{split}/state.json": read_saved,
        f"{split}.parquet": read_parquet,
        f"{split}-*-of-*.parquet": read_parquet,
        f"data/{split}-*-of-*.parquet": read_parquet,
        f"{split}.jsonl": read_jsonl,
    }


def read_saved(files: Sequence[Path]) -> Sequence[Row]:
    """A split that `save_to_disk` wrote; its state.json lists the data files."""
    (state,) = files
    try:
        with open_file(state) as file:
            names = [entry["filename"] for entry in json_value(read_small(file, LARGEST_STATE))["_data_files"]]
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("it names no files beside it")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{state} is not what save_to_disk writes: {error}: save the data again") from None
    return read_arrow([state.parent / name for name in names])


def read_arrow(files: Sequence[Path]) -> Sequence[Row]:
    """Arrow streams as `datasets` writes them, left on disk and mapped into memory."""
    import pyarrow

    tables = []
    for file in files:
        with readable(file):
            tables.append(pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))).read_all())
    check_columns(files, [table.schema for table in tables])
    return ArrowRows(pyarrow.concat_tables(tables))


def read_parquet(files: Sequence[Path]) -> Sequence[Row]:
    from pyarrow.parquet import read_schema

    schemas = []
    for file in files:
        with readable(file):
            schemas.append(read_schema(file))
    check_columns(files, schemas)
    return StreamedRows(files, lambda: parquet_rows(files))


def parquet_rows(files: Sequence[Path]) -> Iterator[Row]:
    from pyarrow.parquet import ParquetFile

    for file in files:
        with readable(file), ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=1024):
                batch.validate(full=True)  # damaged offsets would be followed, out of the file
                yield from batch.to_pylist()


def read_jsonl(files: Sequence[Path]) -> Sequence[Row]:
    return StreamedRows(files, lambda: (record for file in files for _, record in json_records(file)))


def read_text(files: Sequence[Path]) -> Sequence[Row]:
    return StreamedRows(files, lambda: ({"text": text} for file in files for text in paragraphs(file)))


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """Arrow's failures in our words; a pipe, which it would wait for, is one."""
    import pyarrow

    try:
        open_file(file).close()
        yield
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
        raise DataError(f"{file} cannot be read: {reason}: save or download it again") from None


def check_columns(files: Sequence[Path], schemas: Sequence[pyarrow.Schema]) -> None:
    if any(not schema.equals(schemas[0]) for schema in schemas):
        raise DataError(f"{files[0].parent}: the parts have different columns: save or download them again")
