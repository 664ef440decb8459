"""When are two texts the same, and which rows of one split have texts that stand in another?

Two texts are the same if they differ in case, white space and punctuation only. Their normal form is NFKC in lower
case, with one space for every run of characters that are neither letters nor digits and none at its ends: `Don't stop!`
and `don 't  stop` are both `don t stop`. Only normal forms of three words or more count as texts of a row: `yes`, WSC's
`him` and COPA's `cause` stand in so many rows that sharing one says nothing. All texts of a row together, short ones
too and in whatever order, are its question.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from glue_harness.core.task import Row, Task

LEAST_WORDS = 3
NOT_A_WORD = re.compile(r"[\W_]+")
# The same for ASCII, which nearly all texts are, at a tenth of the cost: capitals to small letters, all else to spaces.
FOLDED = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))


class RowTexts(NamedTuple):
    """64-bit digests of what a row says: of a million texts, two have the same by chance in one case of 37 million."""

    texts: tuple[int, ...]
    question: int

    @property
    def all(self) -> tuple[int, ...]:
        return (*self.texts, self.question)


class Overlap(NamedTuple):
    """The rows of a split, and which of them stand in rows that were trained on."""

    rows: int
    shared: frozenset[int]  # numbers of rows with a text, or the question, of a row that was trained on
    whole: int  # of these, how many with the question


def normal(text: str) -> bytes:
    """The normal form, in UTF-8."""
    if text.isascii():
        return b" ".join(text.encode().translate(FOLDED).split())
    folded = NOT_A_WORD.sub(" ", unicodedata.normalize("NFKC", text).lower())
    return folded.strip().encode(errors="surrogatepass")


def forms(task: Task, row: Row) -> Iterator[bytes]:
    """Normal forms of the columns that hold text, or a text for each of several names, as WMT's `translation` does."""
    for column in task.columns:
        value = row.get(column)
        if isinstance(value, str):
            yield normal(value)
        elif isinstance(value, dict):
            yield from (normal(text) for text in value.values() if isinstance(text, str))


def row_texts(task: Task, row: Row, seed: int = 0) -> RowTexts:
    """Digests depend on the seed, so that their order is another one under another seed."""
    found = sorted(forms(task, row))
    texts = {form for form in found if form.count(b" ") >= LEAST_WORDS - 1}
    # a zero byte, which no normal form has, keeps the question of a row with one text apart from the text
    return RowTexts(tuple(digest(form, seed) for form in texts), digest(b"\0" + b"\0".join(found), seed))


def digest(form: bytes, seed: int = 0) -> int:
    return int.from_bytes(hashlib.blake2b(form, digest_size=8, key=b"%d" % seed).digest())


def found_among(wanted: set[int], task: Task, rows: Iterable[Row]) -> set[int]:
    """Which of the digests rows have that stream by: in memory is only what is wanted."""
    found: set[int] = set()
    for row in rows:
        found |= wanted.intersection(row_texts(task, row).all)
    return found


def overlap(of_rows: Sequence[RowTexts], found: set[int]) -> Overlap:
    shared = (number for number, row in enumerate(of_rows) if not found.isdisjoint(row.all))
    return Overlap(len(of_rows), frozenset(shared), sum(row.question in found for row in of_rows))
