"""Rows from a folder: the official download, or files in the Hub's schema. Finds them, says where it looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from struct import pack, unpack
from typing import Any, NamedTuple

from glue_harness.core.errors import DataError, RowError, UsageError
from glue_harness.core.task import File, Row, Task
from glue_harness.data import saved
from glue_harness.data.checks import HIDDEN_LABEL
from glue_harness.data.lines import json_records, tsv_rows
from glue_harness.data.rows import Read, StreamedRows


class Place(NamedTuple):
    """A possible home of a split: a folder, the names of files in it, and who reads them."""

    folder: Path
    pattern: str
    reader: saved.Reader | None  # None: the official file, which its task file describes

    def files(self) -> list[Path]:
        return sorted(self.folder.glob(self.pattern)) if self.folder.is_dir() else []


class Layout(NamedTuple):
    """Folders that may hold a split, and the files that each of them may hold it in."""

    folders: list[Path]
    readers: dict[str, saved.Reader | None]


def read(task: Task, split: str, where: str) -> Read:
    root = data_folder(where)
    place = find(task, split, root)
    if place is None:
        looked = " and ".join(looked_for(layout, root) for layout in layouts(task, split, root) if layout.readers)
        raise DataError(f"no {split} rows of {task.name!r}: looked for {looked}: put one there, or use --data hub")
    origin = f"folder {shown(place.folder, root)}/{place.pattern}"
    if place.reader:
        return Read(place.reader(place.files()), origin)
    rows, notes = read_official(task, split, place.folder / place.pattern)
    return Read(rows, origin, notes)


def data_folder(where: str) -> Path:
    root = Path(where)
    if not where or not root.is_dir():
        raise UsageError(f"--data {where!r} is not a folder: use hub, demo, demo:ROWS or an existing folder")
    return root


def find(task: Task, split: str, root: Path) -> Place | None:
    """The first place that holds the split."""
    for folders, readers in layouts(task, split, root):
        for folder in folders:
            for place in (Place(folder, pattern, reader) for pattern, reader in readers.items()):
                if place.files():
                    return place
    return None


def layouts(task: Task, split: str, root: Path) -> list[Layout]:
    """Where a split may be. RTE is in both benchmarks: the folder of the task's own suite comes first."""
    source = task.source
    tops = [*suite_folders(task.suite, root), root]
    names = source.files[split].names if split in source.files else ()
    official = [top / source.folder for top in tops] + ([root] if root.resolve().name == source.folder else [])
    files = {name: saved.read_text if name.endswith(".txt") else None for name in names}
    own = [top / name for top in tops for name in dict.fromkeys((task.name, source.config)) if name]
    return [Layout(official, files), Layout([*own, root], saved.readers(split))]


def suite_folders(suite: str, root: Path) -> list[Path]:
    """`superglue`, `SuperGLUE` or `super_glue` inside a folder that holds both benchmarks."""
    return sorted(entry for entry in root.iterdir() if entry.name.lower().replace("_", "") == suite and entry.is_dir())


def shown(folder: Path, root: Path) -> str:
    """A folder from the data folder's own name on: what is above it belongs to the machine."""
    return (Path(root.resolve().name) / folder.relative_to(root)).as_posix()


def looked_for(layout: Layout, root: Path) -> str:
    return f"{', '.join(layout.readers)} in {', '.join(shown(folder, root) for folder in layout.folders)}"


def read_official(task: Task, split: str, path: Path) -> tuple[Sequence[Row], list[str]]:
    """Rows, and what there is to say about them once they have been gone through."""
    file, official = task.source.files[split], task.source.rows.get(split)
    notes: list[str] = []
    if not file.columns:
        return StreamedRows([path], lambda: adapted(task, path)), notes
    return StreamedRows([path], lambda: labelled(task, file, tsv_rows(path, file, official, notes))), notes


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


def labelled(task: Task, file: File, rows: Iterator[dict[str, Any]]) -> Iterator[Row]:
    """Texts become labels as the Hub has them; a file without a label column hides them."""
    read_label = float_label if task.kind == "regress" else id_label(task.labels)
    hidden = str(HIDDEN_LABEL)
    for row in rows:
        row["label"] = read_label(row.get("label", hidden))
        yield row


def id_label(labels: Sequence[str]) -> Callable[[str], Any]:
    """A word or a number as a label id; what is neither stays as it is, for the check to refuse."""
    ids = {word: number for number, word in enumerate(labels)}

    def read_label(text: str) -> Any:
        try:
            return ids[text] if text in ids else int(text)
        except ValueError:
            return text

    return read_label


def float_label(text: str) -> Any:
    """A score in single precision, as the Hub stores it."""
    try:
        return unpack("f", pack("f", float(text)))[0]
    except (ValueError, OverflowError):
        return text
