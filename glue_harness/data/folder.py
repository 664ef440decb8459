"""Rows from a folder: the official download, or files in the Hub's schema. Finds them, says where it looked."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.core.errors import DataError, RowError, UsageError
from glue_harness.core.reading import json_value, open_file, read_small
from glue_harness.core.task import HIDDEN_LABEL, Row, Task
from glue_harness.data.lines import json_records, paragraphs, tsv_rows
from glue_harness.data.rows import StreamedRows, Unchecked

if TYPE_CHECKING:
    import pyarrow

LARGEST_STATE = 2**20  # bytes
Reader = Callable[[Sequence[Path]], Sequence[Row]]


class Place(NamedTuple):
    """Where a split is: a folder, a name or pattern in it, the files it fits, and who reads them."""

    folder: Path
    pattern: str
    files: list[Path]
    reader: Reader | None  # None: the official file, which its task file describes


def read(task: Task, split: str, where: str) -> Unchecked:
    root = data_folder(where)

    def shown(folder: Path) -> str:
        """From the data folder's own name on: what is above it belongs to the machine."""
        return (Path(root.resolve().name) / folder.relative_to(root)).as_posix()

    place = find(task, split, root)
    if place is None:
        looked = [
            f"{', '.join(readers)} in {', '.join(map(shown, folders))}"
            for folders, readers in layouts(task, split, root)
            if readers
        ]
        raise DataError(
            f"no {split} rows of {task.name!r}: looked for {' and '.join(looked)}: put one there, or use --data hub"
        )
    origin = f"folder {shown(place.folder)}/{place.pattern}"
    if place.reader:
        return Unchecked(place.reader(place.files), origin)
    notes: list[str] = []
    return Unchecked(read_official(task, split, place.files[0], notes), origin, notes)


def data_folder(where: str) -> Path:
    root = Path(where)
    if not where or not root.is_dir():
        raise UsageError(f"--data {where!r} is not a folder: use hub, demo, demo:ROWS or an existing folder")
    return root


def find(task: Task, split: str, root: Path) -> Place | None:
    """The first place that holds the split."""
    for folders, readers in layouts(task, split, root):
        for folder, (pattern, reader) in product(folders, readers.items()):
            if folder.is_dir() and (files := sorted(folder.glob(pattern))):
                return Place(folder, pattern, files, reader)
    return None


def layouts(task: Task, split: str, root: Path) -> list[tuple[list[Path], dict[str, Reader | None]]]:
    """Folders that may hold a split, and the files they may hold it in with who reads them, official ones first.

    RTE is in both benchmarks: the folder of the task's own suite (`superglue`, `SuperGLUE`, `super_glue`) comes first.
    """
    source = task.source
    suites = (entry for entry in root.iterdir() if entry.name.lower().replace("_", "") == task.suite)
    tops = [*sorted(entry for entry in suites if entry.is_dir()), root]
    names = source.files[split].names if split in source.files else ()
    official = [top / source.folder for top in tops] + ([root] if root.resolve().name == source.folder else [])
    own = [top / name for top in tops for name in dict.fromkeys((task.name, source.config)) if name]
    in_the_hubs_schema: dict[str, Reader | None] = {
        f"{split}/state.json": read_saved,
        f"{split}.parquet": read_parquet,
        f"{split}-*-of-*.parquet": read_parquet,
        f"data/{split}-*-of-*.parquet": read_parquet,
        f"{split}.jsonl": read_jsonl,
    }
    files: dict[str, Reader | None] = {name: read_paragraphs if name.endswith(".txt") else None for name in names}
    return [(official, files), ([*own, root], in_the_hubs_schema)]


def read_official(task: Task, split: str, path: Path, notes: list[str]) -> Sequence[Row]:
    """Rows; `notes` holds what there is to say about them once they have been gone through."""
    file, official = task.source.files[split], task.source.rows.get(split)
    if file.columns:
        return StreamedRows([path], lambda: labelled(task, tsv_rows(path, file, official, notes)))
    return StreamedRows([path], lambda: adapted(task, path))


def labelled(task: Task, rows: Iterator[dict[str, Any]]) -> Iterator[Row]:
    """Texts become labels as the Hub has them: a word or a number as an id, a score in single precision.

    A file without a label column hides them; what is no label stays as it is, for the check to refuse.
    """
    ids = {word: number for number, word in enumerate(task.labels)}
    is_score, hidden = task.kind == "regress", str(HIDDEN_LABEL)
    for row in rows:
        text = row.get("label", hidden)
        try:
            if is_score:
                (row["label"],) = struct.unpack("f", struct.pack("f", float(text)))
            else:
                row["label"] = ids[text] if text in ids else int(text)
        except (ValueError, OverflowError):
            row["label"] = text
        yield row


def adapted(task: Task, path: Path) -> Iterator[Row]:
    """JSON records as rows: one record may hold several (MultiRC) or be one already."""
    adapt = task.source.adapt or (lambda record: (record,))
    for number, record in json_records(path):
        try:
            rows = list(adapt(record))
        except RowError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
        except (LookupError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}, line {number}: not a {task.name!r} record: {error!r}: is it another file?"
            ) from None
        yield from rows


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
    return arrow_rows(pyarrow.concat_tables(tables))


def arrow_rows(table: pyarrow.Table) -> Sequence[Row]:
    """Made into dicts when they are asked for: a large split stays on disk."""

    def rows() -> Iterator[Row]:
        for batch in table.to_batches(max_chunksize=1024):
            try:
                batch.validate(full=True)  # damaged offsets would be followed, out of the file
            except ValueError as error:
                raise DataError(f"Arrow data is damaged: {error}: save or download it again") from None
            yield from batch.to_pylist()

    return StreamedRows((), rows, table.num_rows)


def read_parquet(files: Sequence[Path]) -> Sequence[Row]:
    from pyarrow.parquet import ParquetFile

    def rows() -> Iterator[Row]:
        schemas = []
        for file in files:
            with readable(file), ParquetFile(file) as parquet:
                schemas.append(parquet.schema_arrow)
                check_columns(files, schemas)
                for batch in parquet.iter_batches(batch_size=1024):
                    batch.validate(full=True)  # damaged offsets would be followed, out of the file
                    yield from batch.to_pylist()

    return StreamedRows(files, rows)


def read_jsonl(files: Sequence[Path]) -> Sequence[Row]:
    return StreamedRows(files, lambda: (record for file in files for _, record in json_records(file)))


def read_paragraphs(files: Sequence[Path]) -> Sequence[Row]:
    return StreamedRows(files, lambda: ({"text": text} for file in files for text in paragraphs(file)))


@contextmanager
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
