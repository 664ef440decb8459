"""Texts as words, for models that know nothing below a word: CBOW and BiLSTM."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from glue_harness.core.errors import DataError, UsageError

PAD, UNK = 0, 1
FILE = "words.json"
# As word vectors are made: "don't" is "do" and "n't", "it's" is "it" and "'s", a sign is a word of its own.
WORD = re.compile(r"\w+(?=n't\b)|n't\b|'\w+|\w+|[^\w\s]", re.IGNORECASE)
SEEN = 2  # times: a word that training texts have once teaches the vector of unknown words instead


class Word(NamedTuple):
    id: int
    start: int  # characters
    end: int


class Words:
    """A vocabulary of words; the ids before them are padding and what is unknown."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.ids = {word: number for number, word in enumerate(self.words, UNK + 1)}
        self.size = len(self.words) + UNK + 1

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.words).encode()).hexdigest()[:16]

    def read(self, text: str) -> list[Word]:
        """A word as it is written if the vocabulary has it so, else in small letters. No text is without a word."""
        found = [Word(self.id_of(match[0]), *match.span()) for match in WORD.finditer(text)]
        return found or [Word(UNK, 0, 0)]

    def id_of(self, word: str) -> int:
        return self.ids.get(word) or self.ids.get(word.lower(), UNK)

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(self.words, indent=0) + "\n", encoding="utf-8")


def load_words(folder: Path) -> Words:
    try:
        words = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("it is no list of words")
    except (OSError, ValueError) as error:
        reason = f"it has no {FILE}" if isinstance(error, FileNotFoundError) else f"its {FILE}: {error}"
        raise UsageError(f"no vocabulary of words in {str(folder)!r}: {reason}") from None
    return Words(words)


def words_in(texts: Iterable[str]) -> Counter[str]:
    """How often each word is there, as it is written."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(WORD.findall(text))
    if not found:
        raise DataError("there is no text to learn words from: no row became an example (see encode of its task)")
    return found


def frequent(counts: Counter[str], most: int) -> Words:
    """The most frequent words in small letters; of two that are as frequent, the one that came first."""
    small: Counter[str] = Counter()
    for word, count in counts.items():
        small[word.lower()] += count
    return Words([word for word, count in small.most_common(most) if count >= SEEN])
