"""Rows from a folder: the official download, or files in the Hub's schema. Finds them, says where it looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.core.errors import DataError, RowError, UsageError
from glue_harness.core.reading import json_value, open_file, read_small
from glue_harness.core.task import HIDDEN_LABEL, File, Row, Task
from glue_harness.data.lines import json_records, paragraphs, tsv_rows
from glue_harness.data.rows import StreamedRows, Unchecked
from glue_harness.data.tables import csv_rows, in_schema, labelled, plain_rows

if TYPE_CHECKING:
    import pyarrow

LARGEST_STATE = 2**20  # bytes
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
DATA_LIKE = (*TABLES, ".json", ".txt", ".xlsx", ".xls", ".arrow", ".zip", ".gz")
MOST_LYING = 5  # files that a message names
Reader = Callable[[Sequence[Path]], StreamedRows]


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
        lying = [shown(path) for path in lying_there(task, split, root)]
        there = f" (what lies there: {', '.join(lying)})" if lying else ""
        sought = f"looked for {' and '.join(looked)}{there}"
        instead = ", or use --data hub" if task.source.hub else ""
        raise DataError(f"no {split} rows of {task.name!r}: {sought}: put one there{instead}")
    origin = f"folder {shown(place.folder)}/{place.pattern}"
    if place.reader:
        return Unchecked(place.reader(place.files).changed(lambda rows: labelled(task, rows)), origin)
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


def lying_there(task: Task, split: str, root: Path) -> list[Path]:
    """Files with data in the folders that belong to the task, which nobody looked for."""
    folders = dict.fromkeys(folder for folders, _ in layouts(task, split, root) for folder in folders)
    mine = [folder for folder in folders if folder.is_dir() and (folder != root or task.suite == "custom")]
    expected = {
        name for other in task.splits.values() for folders, readers in layouts(task, other, root) for name in readers
    }
    files = sorted(path for folder in mine for path in folder.iterdir())
    return [path for path in files if path.suffix.lower() in DATA_LIKE and path.name not in expected][:MOST_LYING]


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
        f"{split}.csv": lambda files: in_the_tasks_schema(task, files, csv_rows),
    }
    tab_separated: dict[str, Reader | None] = {
        f"{split}.tsv": lambda files: in_the_tasks_schema(task, files, plain_rows)
    }
    files: dict[str, Reader | None] = {name: read_paragraphs if name.endswith(".txt") else None for name in names}
    at_top = [root] if task.suite == "custom" else []  # else a .tsv at the top is the official file of some task
    return [(official, files), ([*own, root], in_the_hubs_schema), ([*own, *at_top], tab_separated)]


def read_official(task: Task, split: str, path: Path, notes: list[str]) -> Sequence[Row]:
    """Rows; `notes` holds what there is to say about them once they have been gone through."""
    file, official = task.source.files[split], task.source.rows.get(split)
    if not file.columns:
        return StreamedRows([path], lambda: adapted(task, path))
    if path.suffix in (".tsv", ".txt"):
        return StreamedRows([path], lambda: labelled(task, hidden_if_absent(tsv_rows(path, file, official, notes))))
    return StreamedRows([path], lambda: labelled(task, hidden_if_absent(renamed(path, file))))


def hidden_if_absent(rows: Iterator[dict[str, Any]]) -> Iterator[Row]:
    """A file without a label column hides them."""
    for row in rows:
        row.setdefault("label", str(HIDDEN_LABEL))
        yield row


def renamed(path: Path, file: File) -> Iterator[dict[str, Any]]:
    """The rows of a table under the names that a task gives its columns. Numbers that are labels are words, too."""
    for idx, record in enumerate(table_rows(path)):
        if lacking := [str(name) for name in file.columns.values() if name not in record]:
            found = ", ".join(map(repr, record))
            raise DataError(f"{path}, row {idx + 1}: column {lacking[0]!r} is missing, found: {found}")
        row = {"idx": idx, **{column: record[str(name)] for column, name in file.columns.items()}}
        if "label" in row and isinstance(row["label"], int | float):
            row["label"] = str(row["label"])
        yield row


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table with a header, told by its name's ending; texts only in CSV and TSV."""
    if path.suffix == ".parquet":
        yield from map(dict, read_parquet([path]))
    elif path.suffix == ".jsonl":
        yield from (record for _, record in json_records(path))
    elif path.suffix in (".csv", ".tsv"):
        yield from csv_rows(path) if path.suffix == ".csv" else plain_rows(path)
    else:
        raise UsageError(f"{path.name!r} is no table that can be read: give one of {', '.join(TABLES)}")


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


def read_saved(files: Sequence[Path]) -> StreamedRows:
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


def read_arrow(files: Sequence[Path]) -> StreamedRows:
    """Arrow streams as `datasets` writes them, left on disk and mapped into memory."""
    import pyarrow

    tables = []
    for file in files:
        with readable(file):
            tables.append(pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))).read_all())
    check_columns(files, [table.schema for table in tables])
    return arrow_rows(pyarrow.concat_tables(tables))


def arrow_rows(table: pyarrow.Table) -> StreamedRows:
    """Made into dicts when they are asked for: a large split stays on disk."""

    def rows() -> Iterator[Row]:
        for batch in table.to_batches(max_chunksize=1024):
            try:
                batch.validate(full=True)  # damaged offsets would be followed, out of the file
            except ValueError as error:
                raise DataError(f"Arrow data is damaged: {error}: save or download it again") from None
            yield from batch.to_pylist()

    return StreamedRows((), rows, table.num_rows)


def read_parquet(files: Sequence[Path]) -> StreamedRows:
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


def read_jsonl(files: Sequence[Path]) -> StreamedRows:
    return StreamedRows(files, lambda: (record for file in files for _, record in json_records(file)))


def in_the_tasks_schema(
    task: Task, files: Sequence[Path], read_table: Callable[[Path], Iterator[dict[str, str]]]
) -> StreamedRows:
    return StreamedRows(files, lambda: (row for file in files for row in in_schema(task, read_table(file))))


def read_paragraphs(files: Sequence[Path]) -> StreamedRows:
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
