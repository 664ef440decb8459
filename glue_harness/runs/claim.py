"""One process at a time carries a run out. The claim ends with the process, however that dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from glue_harness.core.errors import GlueError

LOCK = "lock"
TAKEN = (errno.EACCES, errno.EAGAIN)


class Taken(GlueError):
    """Another process is at work on the run."""


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Holds a run's folder. A record lock, not flock: a forked worker that outlives the run must not keep it."""
    with _opened(folder / LOCK) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                raise Taken(f"run {folder.name} is being carried out by another process") from None
        yield  # any other error: a file system without locks


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "ab")
    except OSError as error:
        raise GlueError(f"cannot write {str(path)!r}: {error.strerror}") from None
