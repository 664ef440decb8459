"""What WSC and DPR share: the model names the noun that a marked pronoun stands for."""

from __future__ import annotations

import re

from glue_harness.core.errors import RowError

PREFIX = "wsc: "


LONGEST_SEARCHED = 10_000  # characters, where a pattern repeats something


def replace_first(words: str, pattern: str, template: str, text: str) -> str:
    """T5 does not escape the row's words in its patterns, so a row may hold a pattern that is none, or has no end."""
    if may_take_for_ever(words, text):
        raise RowError(f"its words {words!r} make a regular expression that may take for ever")
    try:
        return re.sub(pattern, template, text, count=1, flags=re.ASCII)  # RE2's classes know ASCII only
    except re.error as error:
        raise RowError(f"its words make {pattern!r}, which is not a regular expression: {error}") from None


def may_take_for_ever(words: str, text: str) -> bool:
    """RE2, which T5 uses, takes linear time; Python's expressions do not if a repetition meets another or a choice."""
    repeats = sum(map(words.count, "*+?{"))
    return repeats > 1 or (repeats == 1 and ("|" in words or len(text) > LONGEST_SEARCHED))
