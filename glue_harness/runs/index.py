"""What readers of many runs need of each record, so that only records that changed are read from their files.

The index is a file in the user's cache (see core/cache.py): results may be read-only or come from somebody else. It
is a log of lines, each with a checksum of its own; of a run, the last line counts. A line is believed while its
record's file is the one that was read and checked, by times, size and inode. So nothing has to be locked or synced:
whatever is damaged, lost, of another version or written by two processes at once is read from the records again.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import os
import stat
import time
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from glue_harness import __version__
from glue_harness.core import cache
from glue_harness.core.errors import DataError
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.reading import open_file
from glue_harness.core.record import SCHEMA, Record, Score
from glue_harness.runs.folder import RECORD, Unreadable, read_record

LEFT_OUT = ("history", "last")  # long, and not for boards
SHARED = ("plan", "data", "mix", "selected_on", "parameters", "environment")  # alike in many runs: parsed once
FIELDS = [f.name for f in dataclasses.fields(Record) if f.name not in (*LEFT_OUT, *SHARED)]
VERSION = zlib.crc32(repr((SCHEMA, __version__, SHARED, FIELDS)).encode())  # where the checksum of a line begins
SETTLED = 2 * 10**9  # ns after which a file that changes again also changes its times, on any file system
SPARE = 100  # dead lines that do not matter

Stamp = tuple[int, ...]


class Entry(NamedTuple):
    """A record's file as it was when it was read and checked."""

    path: str  # in the folder of runs
    stamp: Stamp | None  # None: read again whenever it is wanted
    broken: str | None  # why it is no record
    digest: str = ""
    seed: int | None = None  # None: the plan does not say
    status: str = ""
    started: str = ""
    texts: tuple[bytes, ...] = ()  # JSON of the shared values, and of the others

    @property
    def id(self) -> str:
        return self.path.partition("/")[0]

    def summary(self, parsed: dict[bytes, Any]) -> Record:
        """The record without what is left out. Summaries share values, so nobody may change these."""
        values = json.loads(self.texts[-1])
        for name, text in zip(SHARED, self.texts, strict=False):
            if text not in parsed:
                parsed[text] = json.loads(text)
            values[name] = parsed[text]
        if self.seed is not None:
            values["plan"] = {**values["plan"], "seed": self.seed}
        values["scores"] = {task: Score(**score) for task, score in values["scores"].items()}
        return Record(**values)


def entries(results: Path) -> list[Entry]:
    """One for each file that is a record or should be one, in no order."""
    place = hashlib.sha256(os.path.realpath(results).encode(errors="surrogateescape")).hexdigest()[:32]
    file = cache.folder() / f"records-{place}.index"
    known, lines = _read(file)
    found, fresh = [], []
    for path, stamp in record_files(results):
        entry = known.get(path) if stamp else None
        if entry is None or entry.stamp != stamp:
            entry = _made(results, path, stamp)
            if entry.stamp and time.time_ns() - max(entry.stamp[:2]) > SETTLED:
                fresh.append(entry)
        found.append(entry)
    if fresh:
        crowded = lines + len(fresh) > 2 * len(found) + SPARE
        _write(file, [entry for entry in found if entry.stamp] if crowded else fresh, "wb" if crowded else "ab")
    return found


def record_files(results: Path) -> Iterator[tuple[str, Stamp | None]]:
    """Paths in the folder of what is a record or should be one; a stamp if no link is involved."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(results) as folders:
        for folder in folders:
            if folder.name.endswith(".json"):
                yield folder.name, None
            try:
                facts = os.lstat(f"{folder.path}/{RECORD}")
            except OSError:  # no run
                continue
            stamp = (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino)
            if stat.S_ISREG(facts.st_mode) and not folder.is_symlink():
                yield f"{folder.name}/{RECORD}", stamp
            elif os.path.exists(f"{folder.path}/{RECORD}"):
                yield f"{folder.name}/{RECORD}", None


def _made(results: Path, path: str, stamp: Stamp | None) -> Entry:
    try:
        record = read_record(results / path, results)
    except DataError as error:
        return Entry(path, None if isinstance(error, Unreadable) else stamp, str(error))
    shared = [dict(getattr(record, name)) for name in SHARED]
    seed = shared[0].pop("seed", None)
    rest = {name: getattr(record, name) for name in FIELDS} | {"scores": dict(record.scores)}
    texts = [json.dumps(value, default=vars).encode() for value in (*shared, rest)]
    return Entry(path, stamp, None, record.digest, seed, record.status, record.started, tuple(texts))


def _read(file: Path) -> tuple[dict[str, Entry], int]:
    """What the index knows, and how many lines it has. Only what this user alone could have written is read."""
    known, lines = {}, []
    with contextlib.suppress(OSError), open_file(file) as stream:
        facts = os.fstat(stream.fileno())
        if facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            lines = stream.read().split(b"\n")
    for line in lines:
        if line[:8] == b"%08x" % zlib.crc32(line[8:], VERSION):
            head, *texts = line[8:].split(b"\t")
            path, stamp, broken, digest, seed, status, started = json.loads(head)
            known[path] = Entry(path, tuple(stamp), broken, digest, seed, status, started, tuple(texts))
    return known, len(lines)


def _write(file: Path, found: list[Entry], mode: str) -> None:
    """By one write, never into a pipe that waits. Without an index, because of whatever, everything is only slower."""
    lines = [b"\t".join([json.dumps(entry[:-1]).encode(), *entry.texts]) for entry in found]
    text = b"".join(b"\n%08x%b" % (zlib.crc32(line, VERSION), line) for line in lines)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, mode, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK, 0o600)) as stream:
            stream.write(text)


def plan_of(record: Record) -> Plan:
    """A record's plan. That of many seeds is checked once: a tenth of a millisecond, but of 10,000 records a second."""
    seed = record.plan.get("seed", 0)
    plan = copy.copy(_plan(json.dumps({**record.plan, "seed": 0})))
    object.__setattr__(plan, "seed", seed)
    return plan


@lru_cache(4096)
def _plan(values: str) -> Plan:
    return plan_from(json.loads(values))
