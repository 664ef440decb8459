"""Official text files, read exactly: tab-separated without any quoting, JSON lines, paragraphs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any, BinaryIO

from glue_harness.core.errors import DataError
from glue_harness.core.reading import has_half_pair, json_value, lines_of, open_file
from glue_harness.core.task import File

BOM = b"\xef\xbb\xbf"


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and texts of a UTF-8 file, without the line ends; blank lines are skipped."""
    for number, line in decoded_lines(path):
        if text := line.removesuffix("\n").removesuffix("\r"):
            yield number, text


def decoded_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines as they stand, with their ends.

    Only a newline ends a line: `str.splitlines` would also cut at U+2028 and others, which rows contain.
    """
    try:
        file = open_file(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    with file:
        yield from decoded(file, str(path))


def decoded(file: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """The same of a file that is open."""
    offset = 0
    for number, line in lines_of(file, name):
        start = len(BOM) if number == 1 and line.startswith(BOM) else 0
        try:
            text = line[start:].decode()
        except UnicodeDecodeError as error:
            place = offset + start + error.start
            raise DataError(
                f"{name}, line {number}: byte {place} of the file is not UTF-8: convert it, or download it again"
            ) from None
        offset += len(line)
        yield number, text


def tsv_rows(path: Path, file: File, official: int | None, notes: list[str]) -> Iterator[dict[str, Any]]:
    """Rows with the columns that `file` names, all texts, and `idx`, the number of the row.

    Some official files hold a few broken rows. They are dropped, with a note, only if the others are exactly as
    many as there should be: anything else is a damaged file.
    """
    lines = text_lines(path)
    begin, first = next(lines, (1, ""))
    if not first:
        raise DataError(f"{path} is empty: download it again")
    header = first.split("\t")  # the first row in a file that has no header, where columns go by position
    width, good, broken = len(header), 0, []
    positions = []
    for column, name in file.columns.items():
        if name in header:
            positions.append((column, header.index(name)))
        elif isinstance(name, int) and name < width:
            positions.append((column, name))
        else:
            lacks = f"expected at least {name + 1} columns, found {width}" if isinstance(name, int) else ""
            lacks = lacks or f"column {name!r} is missing, found: {', '.join(header)}"
            raise DataError(f"{path}, line 1: {lacks}: is it another file?")
    positions += [(column, header.index(name)) for column, name in file.also.items() if name in header]
    for idx, (number, line) in enumerate(lines if file.header else chain([(begin, first)], lines)):
        cells = line.split("\t")
        if len(cells) == width:
            good += 1
            yield {"idx": idx, **{column: cells[k] for column, k in positions}}
        else:
            broken.append(f"line {number}: expected {width} columns, found {len(cells)}")
    if broken and good != official:
        raise DataError(f"{path}, {broken[0]}: the row is truncated or broken, download the file again")
    notes[:] = [f"broken row dropped: {path.name}, {where}" for where in broken]


def paragraphs(path: Path) -> Iterator[str]:
    """What stands between blank lines; the lines of a paragraph stay apart."""
    lines = ((number, text) for number, text in text_lines(path) if text.strip())
    for _, block in groupby(enumerate(lines), key=lambda at: at[1][0] - at[0]):  # line numbers without a gap
        yield "\n".join(text for _, (_, text) in block)


def json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a file of JSON lines."""
    for number, line in text_lines(path):
        yield number, json_row(line, f"{path}, line {number}")


def json_row(line: str, where: str) -> dict[str, Any]:
    """An object whose texts a model can read."""
    value = json_object(line, where)
    if has_half_pair(line, value):
        raise DataError(f"{where}: not text: it has half of a surrogate pair (\\ud800 to \\udfff)")
    return value


def json_object(line: str | bytes, where: str) -> dict[str, Any]:
    """The object that a line of JSON holds."""
    try:
        value = json_value(line if isinstance(line, str) else line.decode("utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: a JSON {type(value).__name__}, not an object")
    return value
