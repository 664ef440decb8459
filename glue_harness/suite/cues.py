"""Cues: what real rows give away about themselves, so that exchanged labels, columns and files are found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import StatisticsError, correlation

from glue_harness.core.task import Cue, Row

Measure = Callable[[Row], float]
NEGATION = re.compile(
    r"\b(no|not|never|nobody|nothing|none|neither|nor|nowhere|cannot|without|deny|denies|denied|false|falsely)\b|n['’]t\b"
)


def marks(label: int, measure: Measure, says: str) -> Cue:
    """Rows with this label have more of something than the others."""
    return Cue(says, lambda rows: agreement(rows, measure, lambda row: row["label"] == label), labelled=True)


def grows(measure: Measure, says: str) -> Cue:
    """Rows with a higher score have more of something."""
    return Cue(says, lambda rows: agreement(rows, measure, lambda row: row["label"]), labelled=True)


def mostly(holds: Callable[[Row], bool], says: str, labelled: bool = False) -> Cue:
    """Something is true of most rows."""
    return Cue(says, lambda rows: majority(rows, holds), labelled)


def longer(first: str, second: str) -> Cue:
    return mostly(lambda row: len(row[first]) > len(row[second]), f"{first!r} is mostly longer than {second!r}")


def sentences(*columns: str) -> Cue:
    """Of several words, as a genre, a file name or a source is not."""
    says = f"{' and '.join(map(repr, columns))}: mostly several words"
    return mostly(lambda row: all(" " in row[column] for column in columns), says)


def asks(column: str) -> Cue:
    return mostly(lambda row: "?" in row[column], f"{column!r} is mostly a question")


def negated(column: str) -> Measure:
    return lambda row: NEGATION.search(row[column].lower()) is not None


def copied(column: str, origin: str) -> Measure:
    """The share of neighbouring words in a text that are neighbours in its origin too."""

    def share(row: Row) -> float:
        pairs, there = (set(pairwise(words_of(row[name]))) for name in (column, origin))
        return len(pairs & there) / max(1, len(pairs))

    return share


def shared(first: str, second: str, letters: int = 1) -> Measure:
    """The share of two texts' words, from so many letters on, that both have."""

    def share(row: Row) -> float:
        ours, theirs = ({w for w in words_of(row[name]) if len(w) >= letters} for name in (first, second))
        return len(ours & theirs) / max(1, len(ours | theirs))

    return share


def words_of(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def agreement(rows: Sequence[Row], measure: Measure, answer: Measure) -> float:
    """How many standard errors a correlation is above 0."""
    try:
        return correlation([measure(row) for row in rows], [answer(row) for row in rows]) * len(rows) ** 0.5
    except StatisticsError:  # all rows are alike
        return 0.0


def majority(rows: Sequence[Row], holds: Callable[[Row], bool]) -> float:
    """How many standard errors a share is above one half."""
    return (2 * sum(map(holds, rows)) / len(rows) - 1) * len(rows) ** 0.5
