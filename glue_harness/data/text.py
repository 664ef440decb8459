"""Plain text of a user's own: a file, or every .txt file in a folder. A paragraph is a row."""

from __future__ import annotations

from pathlib import Path

from glue_harness.core.errors import DataError, UsageError
from glue_harness.data import saved
from glue_harness.data.rows import Read


def read(where: str) -> Read:
    """The paragraphs in the order of the files' names."""
    rows = saved.read_text(files(where))
    if not rows:
        raise DataError(f"text {where!r} is empty: it needs paragraphs, with a blank line between two")
    return Read(rows, f"text {Path(where).resolve().name}")


def files(where: str) -> list[Path]:
    """The files a user means; nothing is read."""
    path = Path(where)
    if path.is_file():
        return [path]
    if not where or not path.is_dir():
        raise UsageError(f"--text {where!r} is neither a file nor a folder of .txt files")
    found = sorted(path.rglob("*.txt"))
    if not found:
        raise UsageError(f"--text {where!r}: no .txt file in this folder")
    return found
