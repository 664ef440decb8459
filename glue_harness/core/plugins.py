"""What goes wrong inside a file of the user's own, in one line: that file's frame alone, none of ours around it."""

from __future__ import annotations

import linecache
from pathlib import Path
from traceback import walk_tb
from types import CodeType

OURS = Path(__file__).parent.parent
LOADED = ("glue_task_", "glue_method_", "glue_optimizer_", "glue_family_")  # how modules that files become are named


def own_failure(error: BaseException) -> str | None:
    """File, line and function of the innermost frame that is a user's; None if the failure passed through none."""
    frames = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__) if _is_own(frame.f_globals)]
    if not frames:
        return None
    (code, line), first = frames[-1], frames[0][0]
    written = linecache.getline(code.co_filename, line).strip()
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{code.co_filename}, line {line}, in {_named(code, first)}: {what}" + (f" (at: {written})" * bool(written))


def _named(code: CodeType, first: CodeType) -> str:
    """The function that failed, and the one through which we came to it."""
    return code.co_name if code is first else f"{code.co_name}, called by {first.co_name}"


def _is_own(module: dict[str, object]) -> bool:
    file = Path(str(module.get("__file__", "")))
    shipped = file.is_relative_to(OURS) or file.is_relative_to(OURS.parent / "tasks")  # in a checkout, beside us
    return str(module.get("__name__", "")).startswith(LOADED) and not shipped
