"""Files and folders that are whole or as they were before, and JSON and TOML that every reader takes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from glue_harness.core.errors import GlueError

DRAFT = ".tmp"


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A draft of a file or a folder, which takes its place in one step that survives a power cut.

    On failure there is what was there before; of a killed process a draft stays, which nobody reads.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{DRAFT}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        for written in (*draft.rglob("*"), draft):
            sync(written)
        if draft.is_dir():  # no system replaces a folder that is not empty
            shutil.rmtree(path, ignore_errors=True)
        os.replace(draft, path)
        sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            remove(draft)


def write_atomic(path: Path, content: str | bytes) -> None:
    try:
        with whole(path) as draft:
            draft.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise cannot_save(path, error) from None


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON that every reader takes: ASCII only, and what is not a finite number becomes null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def toml_text(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_text(key)} = {toml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_text, value)) + "]"
    # TOML knows JSON's escapes, but no surrogate pairs; and it wants DEL escaped, which JSON does not
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_save(path: Path, error: OSError) -> GlueError:
    return GlueError(f"cannot save {str(path)!r}: {why(error)}; free some space or choose another folder")


def why(error: OSError) -> str:
    return error.strerror or str(error)
