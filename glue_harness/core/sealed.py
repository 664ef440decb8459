"""A folder that is whole or not there: drafted beside, synced, its checksums in a marker written last, renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from glue_harness.core.errors import DataError
from glue_harness.core.writing import sync

MARKER = "complete"


def seal(target: Path, write: Callable[[Path], None]) -> None:
    """Makes a folder with what `write` puts into it. A crash while writing leaves a draft that nobody reads."""
    draft = target.with_name(f".{target.name}.tmp")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write(draft)
        files = sorted(path for path in draft.rglob("*") if path.is_file())
        sums = {file.relative_to(draft).as_posix(): checksum(file) for file in files}
        (draft / MARKER).write_text(json.dumps({"sha256": sums}, indent=1) + "\n", encoding="utf-8")
        for path in (*draft.rglob("*"), draft):
            sync(path)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(draft, target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


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
