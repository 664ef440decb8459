"""How T5 scores a Winograd task as generation: does the answer name the noun that the row asks about?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glue_harness.core.task import Example, Gold

DETERMINERS = frozenset(
    str.split("a an few her his each every many much my our some that the their these this those which whose your")
)


def referent_matches(answer: str, referent: str) -> int | None:
    """1 when one of the two has all words of the other, determiners aside; None for an empty answer."""
    answer, referent = without_determiners(answer), without_determiners(referent)
    if not answer:
        return None
    if ("'" in answer) != ("'" in referent):  # "Ann" is not "Ann's hat"
        return 0
    words, asked = set(answer.split(" ")), set(referent.split(" "))
    return int(words <= asked or asked <= words)


def without_determiners(text: str) -> str:
    return " ".join(word for word in text.strip().lower().split(" ") if word not in DETERMINERS)


def decode_referent(text: str, example: Example) -> int | None:
    """`Task.decode`: the answer says "true" when it matches the candidate, which is the target string."""
    return referent_matches(text, example.target)


def gold_label(target: str, info: Mapping[str, Any]) -> Gold:
    """`Task.gold`: the row's own label; the target string only names the candidate."""
    return Gold(info["label"])
