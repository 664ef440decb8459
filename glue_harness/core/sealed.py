"""A folder that is whole or not there, with a marker that holds the checksums of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from glue_harness.core.errors import DataError
from glue_harness.core.writing import whole

MARKER = "complete"


def seal(target: Path, write: Callable[[Path], None]) -> None:
    """Makes a folder with what `write` puts into it."""
    with whole(target) as draft:
        draft.mkdir()
        write(draft)
        files = sorted(path for path in draft.rglob("*") if path.is_file())
        sums = {file.relative_to(draft).as_posix(): checksum(file) for file in files}
        (draft / MARKER).write_text(json.dumps({"sha256": sums}, indent=1) + "\n", encoding="utf-8")


def prove_whole(folder: Path) -> None:
    """Reads every file again; what is missing or not as it was written is named."""
    try:
        sums = json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"].items()
    except FileNotFoundError:
        raise DataError("it is not complete") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise DataError(f"its {MARKER!r} is damaged") from None
    for name, expected in sums:
        try:
            found = checksum(folder / name)
        except OSError as error:
            raise DataError(f"{name}: {error.strerror}") from None
        if found != expected:
            raise DataError(f"{name} is damaged: its checksum is not the one it was written with")


def checksum(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
