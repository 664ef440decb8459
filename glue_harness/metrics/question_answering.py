"""SQuAD's exact match and F1, which ReCoRD uses too: the best over all accepted answers."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from glue_harness.core.errors import DataError
from glue_harness.core.task import Prediction, Tally
from glue_harness.metrics.units import by_unit, tally_of_means

WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def squad(predictions: Sequence[Prediction]) -> Tally:
    """Only the first prediction of a group counts: one question, however many rows it became."""
    groups = by_unit(predictions)
    scores: dict[str, list[float]] = {"em": [], "f1": []}
    for prediction in (group[0] for group in groups.values()):
        answers, guess = [normalised(answer) for answer in prediction.example.label], normalised(prediction.label)
        if not answers:
            raise DataError(f"example {prediction.example.id!r} has no accepted answer (hidden?)")
        scores["em"].append(guess in answers)
        scores["f1"].append(max(token_f1(answer, guess) for answer in answers))
    return tally_of_means(groups, scores, of_rights=("em",))


def normalised(text: str) -> str:
    bare = text.lower().translate(WITHOUT_PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", bare).split())


def token_f1(answer: str, guess: str) -> float:
    """F1 of two bags of words; 0 when nothing is shared, even if both are empty."""
    wanted, given = Counter(answer.split()), Counter(guess.split())
    return 2 * (wanted & given).total() / max(wanted.total() + given.total(), 1)
