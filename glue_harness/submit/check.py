"""What is wrong with a submission, whoever made it. A zip is not trusted: reading it is bounded."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

from glue_harness.core.errors import DataError, RowError, UsageError
from glue_harness.core.task import Row, Task
from glue_harness.data.lines import json_object
from glue_harness.submit import HEADER, counted, number_faults, official_files, official_form, scale, whole
from glue_harness.suite.build import parse_number
from glue_harness.suite.registry import Registry
from glue_harness.suite.superglue import value_at

LARGEST = 16 * 2**20  # bytes of one file unpacked; the longest official file, QQP's, has a fourth of that
MOST_LINES = 1_000_000
MOST_FILES = 1000
EITHER_CASE = ("true", "false")  # the benchmark's own tools wrote `true` for BoolQ and `True` for WSC
LONGEST = 60  # characters shown of what is wrong
FileAnswer = tuple[int, tuple[Any, ...], Any]  # an answer as it stands in a file: line, numbers, label


def check(path: Path, registry: Registry, suite: str | None = None) -> list[str]:
    """Every fault of a zip, each in one line; none if the official server would take it."""
    try:
        with ZipFile(path) as archive:
            return list(zip_faults(archive, registry, suite))
    except (BadZipFile, NotImplementedError, ValueError):
        return ["it is not a zip file, or a truncated one"]
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from None


def zip_faults(archive: ZipFile, registry: Registry, suite: str | None) -> Iterator[str]:
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        yield f"it holds {len(entries):,} entries: not looked into"
        return
    names = {PurePosixPath(entry.filename).name for entry in entries}
    known = official_files(registry, suite)
    suite = max(known, key=lambda name: len(names & known[name].keys()))
    if not names & known[suite].keys():
        yield f"it holds no file of {' or '.join(known)}"
        return
    times = Counter(entry.filename for entry in entries)
    yield from (f"{name}: in the zip {n} times" for name, n in times.items() if n > 1)
    official = known[suite]
    for name, entry in {entry.filename: entry for entry in entries}.items():
        if entry.is_dir():
            yield f"{name}: a folder: the files belong at the top of the zip"
        elif "/" in name and PurePosixPath(name).name in official:
            yield f"{name}: in a folder: it belongs at the top of the zip"
        elif name not in official:
            yield f"{name}: not a file of this submission"
    for file, (task, *_) in official.items():
        faults = file_faults(archive, task) if file in times else ["missing"]
        yield from (f"{file}: {fault}" for fault in faults)


def file_faults(archive: ZipFile, task: Task) -> list[str]:
    """The faults of one file: of its bytes, its lines, its numbers, its answers."""
    try:
        with archive.open(official_form(task).file) as packed:
            content = packed.read(LARGEST + 1)
    except (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        return [f"cannot be unpacked: {error}"]
    if len(content) > LARGEST:
        return [f"unpacks to more than {LARGEST // 2**20} MiB: not read"]
    if content.count(b"\n") > MOST_LINES:
        return [f"more than {MOST_LINES:,} lines: not read"]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return [f"not UTF-8: byte {error.start}"]
    entries, faults = (tsv_entries if official_form(task).file.endswith(".tsv") else json_entries)(task, text)
    numbered = [(line, [whole(number) for number in numbers]) for line, numbers, _ in entries]
    unnumbered = [line for line, numbers in numbered if None in numbers]
    faults += counted("index is not a number, line", unnumbered)
    lost = set(unnumbered)
    found = [tuple(n for n in numbers if n is not None) for line, numbers in numbered if line not in lost]
    official = task.source.rows.get(task.splits["test"])
    return faults + number_faults(found, official or len(found)) + label_faults(task, entries)


def tsv_entries(task: Task, text: str) -> tuple[list[FileAnswer], list[str]]:
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    faults = [] if lines[0] == HEADER else [f"the header is {shortened(lines[0])}, not {HEADER!r}"]
    start = 0 if re.fullmatch(r"\d+\t[^\t]*", lines[0]) else 1  # an answer where the header belongs
    cut = [(number, line.split("\t")) for number, line in enumerate(lines[start:], start + 1)]
    faults += counted("not two columns, line", [number for number, columns in cut if len(columns) != 2])
    return [(number, (columns[0],), columns[1]) for number, columns in cut if len(columns) == 2], faults


def json_entries(task: Task, text: str) -> tuple[list[FileAnswer], list[str]]:
    ways = [*official_form(task).levels.values()][1:]
    entries, broken = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json_object(line, f"line {number}")
            entries += [(number, numbers, label) for numbers, label in inside(record, ways)]
        except (DataError, RowError) as error:
            broken.append(str(error).removeprefix(f"line {number}: ") + f" (line {number})")
    return entries, counted("not an answer", broken)


def inside(record: Row, ways: Sequence[tuple[str, ...]], around: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """The answers inside a record: their numbers, those of the records around them first, and their labels."""
    numbers = (*around, value_at(record, "idx"))
    if not ways:
        yield numbers, value_at(record, "label")
        return
    members = value_at(record, *ways[0])
    if not isinstance(members, list):
        raise RowError(f"{'.'.join(ways[0])!r} is not a list")
    for member in members:
        yield from inside(member, ways[1:], numbers)


def label_faults(task: Task, entries: Sequence[FileAnswer]) -> list[str]:
    """Answers that the server does not take."""
    words = official_form(task).words
    in_table = official_form(task).file.endswith(".tsv")
    low, high = scale(task) if task.kind == "regress" else (0, 0)

    def is_allowed(label: Any) -> bool:
        if task.kind == "regress":
            number = parse_number(str(label))
            return number is not None and low <= number <= high
        if not words:
            return isinstance(label, str) and label.strip() != ""
        if in_table:
            return label in map(str, words)
        if isinstance(label, str) and label.lower() in EITHER_CASE:
            label = label.lower()
        return any(type(label) is type(word) and label == word for word in words)

    wrong = [(line, shortened(label)) for line, _, label in entries if not is_allowed(label)]
    allowed = f"a number from {low:g} to {high:g}" if task.kind == "regress" else ", ".join(map(str, words)) or "a text"
    where = f" (line {wrong[0][0]}); allowed: {allowed}" if wrong else ""
    return counted("answer is not allowed", [label for _, label in wrong], where)


def shortened(label: Any) -> str:
    text = repr(label)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
