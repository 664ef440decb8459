"""What WSC, DPR and WNLI's referents share: the model names the noun that a marked pronoun stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from glue_harness.core.errors import RowError
from glue_harness.core.task import Example, Gold

PREFIX = "wsc: "
LONGEST_SEARCHED = 10_000  # characters, where a pattern repeats something
DETERMINERS = frozenset(
    str.split("a an few her his each every many much my our some that the their these this those which whose your")
)


def replace_first(words: str, pattern: str, template: str, text: str) -> str:
    """T5 does not escape the row's words in its patterns, so a row may hold a pattern that is none, or has no end."""
    # RE2, which T5 uses, takes linear time; Python's expressions do not if a repetition meets another or a choice.
    repeats = sum(map(words.count, "*+?{"))
    if repeats > 1 or (repeats == 1 and ("|" in words or len(text) > LONGEST_SEARCHED)):
        raise RowError(f"its words {words!r} make a regular expression that may take for ever")
    try:
        return re.sub(pattern, template, text, count=1, flags=re.ASCII)  # RE2's classes know ASCII only
    except re.error as error:
        raise RowError(f"its words make {pattern!r}, which is not a regular expression: {error}") from None


def decode_referent(text: str, example: Example) -> int | None:
    """`Task.decode`: 1 when the answer or the candidate has all words of the other, determiners aside.

    The candidate is the target string. None for an empty answer.
    """
    answer, candidate = (
        " ".join(word for word in said.strip().lower().split(" ") if word not in DETERMINERS)
        for said in (text, example.target)
    )
    if not answer:
        return None
    if ("'" in answer) != ("'" in candidate):  # "Ann" is not "Ann's hat"
        return 0
    words, asked = set(answer.split(" ")), set(candidate.split(" "))
    return int(words <= asked or asked <= words)


def gold_label(target: str, info: Mapping[str, Any]) -> Gold:
    """`Task.gold`: the row's own label; the target string only names the candidate of a prompt that has several."""
    return Gold(info["label"], cluster=info.get("prompt"))
