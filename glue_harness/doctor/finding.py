"""What the doctor says: something was looked at, and it is well, suspicious or wrong."""

from __future__ import annotations

from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    where: str  # a task and its split, or a part of the machine
    check: str
    state: str
    text: str
    fix: str = ""
