"""Files and texts that nobody vouches for: regular files only, within bounds; JSON and TOML that stay data."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from glue_harness.core.errors import DataError

LONGEST_LINE = 16 * 2**20  # bytes: a row has a thousandth of that
DEEPEST = 100  # levels of lists and objects inside each other: deeper ones break whoever walks or prints them
MOST_DOTS = 200  # on a line of TOML: a key of many parts takes quadratic time
MOST_DIGITS = 20  # of a whole number: all that have 64 bits
HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")  # of two that make one character in JSON; alone it is no text


def open_file(path: Path) -> BinaryIO:
    """A regular file. Pipes and devices, which may have no end, are an OSError; so is a folder."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise OSError(0, "Is a directory" if stat.S_ISDIR(mode) else "it is a pipe or a device, not a file")
    return os.fdopen(handle, "rb")


def read_small(file: BinaryIO, largest: int) -> str:
    """All of a small file, or a ValueError that says what is wrong with it."""
    content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"it is larger than {largest / 2**20:g} MiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def lines_of(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Line numbers and lines as they stand. Only a newline ends one, and none is longer than memory allows."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{name}, line {number}: longer than {LONGEST_LINE / 2**20:g} MiB: is it a text file, with line ends?"
            )
        yield number, line


def json_value(text: str) -> Any:
    """What JSON says; a ValueError if it is none, or has values that no file of ours needs."""
    try:
        value = STRICT.decode(text)
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} levels deep") from None
    if text.count("[") + text.count("{") > DEEPEST:
        check_values(value)
    return value


def toml_value(text: str) -> dict[str, Any]:
    """The same for TOML."""
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"more than {MOST_DOTS} dots on a line")
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} levels deep") from None
    check_values(values)
    return values


def has_half_pair(text: str, value: Any) -> bool:
    """Whether JSON spells half of a surrogate pair: no vocabulary and no file takes that."""
    return bool(HALF_PAIR.search(text)) and not is_text(json.dumps(value, ensure_ascii=False))


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_values(value: Any) -> None:
    """Refuses nesting and whole numbers that would break whoever walks, prints or computes with them."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, int) and item.bit_length() > 64:
                _too_large(f"{item:#x}")
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        level = inner
        if not level:
            return
    raise ValueError(f"more than {DEEPEST} levels deep")


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= MOST_DIGITS else _too_large(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _too_large(digits)


def _too_large(digits: str) -> NoReturn:
    raise ValueError(f"number {digits[:MOST_DIGITS]}{'...' * (len(digits) > MOST_DIGITS)} is too large")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


STRICT = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_no_constant)
