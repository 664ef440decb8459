"""Expected failures: one line that names the thing, the place and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMED = 20  # names that one line can hold


class GlueError(Exception):
    """A failure we foresaw. The command line prints its text and exits with `exit_code`."""

    exit_code = 1


class UsageError(GlueError):
    """The request itself is wrong: nothing was started."""

    exit_code = 2


class DataError(GlueError):
    """Data that cannot be trusted or found."""


class RowError(DataError):
    """One row that cannot become an example."""


class Interrupted(GlueError):
    """The user or the system asked the run to stop."""

    exit_code = 130


class Stopped(KeyboardInterrupt):
    """A signal on its way out of a run: like Ctrl-C, nothing that catches failures may swallow it."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


class Paused(Exception):
    """A run has come to the step at which it was to wait; it can go on."""


def unknown(kind: str, name: str, known: Iterable[str], lister: str = "") -> UsageError:
    """The error for a name nobody knows, with the nearest name that exists; `lister` is the command that tells all."""
    known = sorted(known)
    more = len(known) - MOST_NAMED
    if near := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5):
        fix = f"did you mean {near[0]}?"
    elif lister and more > 0:
        fix = f"{lister} lists them"
    else:
        fix = f"known: {', '.join(known[:MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")
    return UsageError(f"unknown {kind} {name!r}: {fix}")
