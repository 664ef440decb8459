"""A folder that is whole or not there, with a marker that holds the checksums of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

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
        usual = (draft / MARKER).stat().st_mode  # as the umask says; safetensors gives its files 0600
        for file in files:
            file.chmod(usual)


def damage_of(folder: Path) -> str | None:
    """Reads every file again, and names what is missing or not as it was written."""
    try:
        sums = json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"].items()
    except FileNotFoundError:
        return "it is not complete"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return f"its {MARKER!r} is damaged"
    for name, expected in sums:
        try:
            if checksum(folder / name) != expected:
                return f"{name} is damaged: its checksum is not the one it was written with"
        except OSError as error:
            return f"{name}: {error.strerror}"
    return None


def checksum(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
