"""Files that can be made again, kept under the name of what they were made from, and mapped into memory.

A file is complete when it has its name, and is never changed afterwards: two processes that make the same one
at once need no lock. The name ends in the checksum of the content, so that damage is found when it is opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import mmap
import os
import secrets
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

Make = Callable[[IO[bytes]], None]  # writes the content; what it reads itself must not fail with an OSError

SUFFIX = ".arrow"
DRAFT = ".draft-"
ABANDONED = 24 * 3600  # seconds after which a draft's writer is taken for dead
BLOCK = 2**20


def folder() -> Path:
    """`$GLUE_CACHE`, or `glue-harness` where the system keeps caches."""
    if own := os.environ.get("GLUE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "glue-harness"


def key_of(facts: Mapping[str, Any]) -> str:
    """A name for all that decides a content."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def kept(key: str, make: Make, notes: list[str], what: str = "tokens") -> Any:
    """The content of that name, made unless it is there already. What was in the way is noted, of `what`."""
    home = folder()
    for file in sorted(home.glob(f"{key}-*{SUFFIX}")):
        try:
            return opened(file)
        except (OSError, ValueError) as error:
            notes.append(f"{file} {set_aside(file)}: {error}: its {what} are made again")
    try:
        return made(home, key, make)
    except OSError as error:
        reason = error.strerror or error
        notes.append(f"cache {home} cannot be written: {reason}: {what} last for this run only; see GLUE_CACHE")
        return unnamed(make)


def opened(file: Path) -> mmap.mmap:
    """A complete file. CRC-32 is read at more than 1 GB/s, and what it has to find is damage, not malice."""
    with file.open("rb") as stream:
        if f"{checksum(stream):08x}" != file.stem.rpartition("-")[2]:
            raise ValueError("its checksum is wrong")
        return mapped(stream)


def mapped(stream: IO[bytes]) -> mmap.mmap:
    return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def checksum(stream: IO[bytes]) -> int:
    """Read, not mapped: a mapping would count every page as memory of this process."""
    found = 0
    while block := stream.read(BLOCK):
        found = zlib.crc32(block, found)
    return found


def set_aside(file: Path) -> str:
    """Moves a damaged file out of the way, and says so."""
    try:
        os.replace(file, file.with_name(f".corrupt-{secrets.token_hex(4)}-{file.name}"))
    except OSError:
        return "cannot be used or moved"
    return "was set aside as .corrupt-*"


def made(home: Path, key: str, make: Make) -> mmap.mmap:
    home.mkdir(parents=True, exist_ok=True)
    clear_drafts(home)
    with draft_in(home) as draft:
        with draft.open("wb") as stream:
            make(stream)
            stream.flush()
            os.fsync(stream.fileno())
        with draft.open("rb") as stream:
            file = home / f"{key}-{checksum(stream):08x}{SUFFIX}"
            os.replace(draft, file)
            return mapped(stream)


@contextlib.contextmanager
def draft_in(home: Path) -> Iterator[Path]:
    """A name of our own, gone afterwards unless it was given to something."""
    draft = home / f"{DRAFT}{secrets.token_hex(8)}"
    try:
        yield draft
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def clear_drafts(home: Path) -> None:
    """What killed processes left."""
    for draft in home.glob(f"{DRAFT}*"):
        with contextlib.suppress(OSError):
            if time.time() - draft.stat().st_mtime > ABANDONED:
                draft.unlink()


def unnamed(make: Make) -> Any:
    """A content that nobody will find again: in a temporary file without a name, or else in memory."""
    try:
        with tempfile.TemporaryFile() as stream:
            make(stream)
            stream.flush()
            return mapped(stream)
    except OSError:
        return in_memory(make)


def in_memory(make: Make) -> Any:
    stream = io.BytesIO()
    make(stream)
    return stream.getbuffer()
