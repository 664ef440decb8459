"""What WSC and DPR share: the model names the noun that a marked pronoun stands for."""

from __future__ import annotations

import re

from glue_harness.errors import RowError

PREFIX = "wsc: "


def replace_first(pattern: str, template: str, text: str) -> str:
    """T5 does not escape the row's words in its patterns, so a row may hold a pattern that is none."""
    try:
        return re.sub(pattern, template, text, count=1, flags=re.ASCII)  # RE2's classes know ASCII only
    except re.error as error:
        raise RowError(f"its words make {pattern!r}, which is not a regular expression: {error}") from None
