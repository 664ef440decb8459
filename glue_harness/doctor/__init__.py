"""Whether data and machine can be trusted, found out before an hour is spent on them."""

from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    """Something was looked at, and it is well, suspicious or wrong."""

    where: str  # a task and its split, or a part of the machine
    check: str
    state: str
    text: str
    fix: str = ""
