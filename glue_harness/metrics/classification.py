"""Scores of answers that are right or wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from glue_harness.core.errors import DataError
from glue_harness.core.task import Prediction, Tally
from glue_harness.metrics.units import Cells, DrawnScores, Share, by_unit, percent, tally_of_means, tally_of_sums

INVALID = -1  # what T5 compares for an answer that is no label, and for a hidden target
CB_CLASSES = (0, 1, 2)


def answer(prediction: Prediction) -> Any:
    return INVALID if prediction.label is None else prediction.label


def is_right(prediction: Prediction) -> bool:
    return answer(prediction) == prediction.example.label


def accuracy(predictions: Sequence[Prediction]) -> Tally:
    def formula(right: np.ndarray, n: np.ndarray) -> DrawnScores:
        return {"accuracy": percent(right, n)}

    return tally_of_sums(predictions, lambda p: (is_right(p), 1), formula, lambda *sums: {"accuracy": Share(*sums)})


def exact_match(predictions: Sequence[Prediction]) -> Tally:
    """The share of groups whose every answer is right."""
    groups = by_unit(predictions)
    rights = {"exact_match": [all(map(is_right, group)) for group in groups.values()]}
    return tally_of_means(groups, rights, of_rights=rights)


def f1(predictions: Sequence[Prediction]) -> Tally:
    """F1 of class 1; an invalid answer counts as the opposite of its target, so it is always wrong."""

    def count(prediction: Prediction) -> tuple[int, int]:
        target = prediction.example.label
        if target not in (0, 1):
            raise DataError(f"f1 needs targets 0 and 1: example {prediction.example.id!r} has {target!r} (hidden?)")
        guess = prediction.label if prediction.label in (0, 1) else 1 - target
        return target * guess, target + guess

    def formula(hits: np.ndarray, marked: np.ndarray) -> DrawnScores:
        return {"f1": percent(2 * hits, marked, undefined=0)}

    def kinds(hits: np.ndarray, marked: np.ndarray) -> dict[str, Share]:
        """F1 = 2 tp / (2 tp + fp + fn) = 2q / (1 + q) where q = tp / (tp + fp + fn)."""
        return {"f1": Share(hits, marked - hits, lambda q: 2 * q / (1 + q))}

    return tally_of_sums(predictions, count, formula, kinds)


def matthews(predictions: Sequence[Prediction]) -> Tally:
    """Matthews correlation over all labels that occur; the invalid answer is one of them."""
    labels = sorted({p.example.label for p in predictions} | {answer(p) for p in predictions})

    def count(prediction: Prediction) -> Iterable[float]:
        target, guess = prediction.example.label, answer(prediction)
        return 1, target == guess, *(target == label for label in labels), *(guess == label for label in labels)

    def formula(n: np.ndarray, right: np.ndarray, *of_labels: np.ndarray) -> DrawnScores:
        targets, guesses = np.split(np.array(of_labels), 2)
        covariance = n * right - (targets * guesses).sum(axis=0)
        variances = (n**2 - (targets**2).sum(axis=0)) * (n**2 - (guesses**2).sum(axis=0))
        return {"matthews_corrcoef": percent(covariance, np.sqrt(variances), undefined=0)}

    def of_cells(cells: np.ndarray) -> np.ndarray:
        right = np.trace(cells, axis1=1, axis2=2)
        return formula(cells.sum(axis=(1, 2)), right, *cells.sum(axis=2).T, *cells.sum(axis=1).T)["matthews_corrcoef"]

    kinds = {"matthews_corrcoef": Cells(confusion(predictions, labels), of_cells)}
    return tally_of_sums(predictions, count, formula, lambda *_: kinds)


def mean_3class_f1(predictions: Sequence[Prediction]) -> Tally:
    """The mean F1 of three classes; one that never occurs counts as 0, an invalid answer hurts recall only."""

    def count(prediction: Prediction) -> Iterable[float]:
        target, guess = prediction.example.label, answer(prediction)
        return *(target == guess == c for c in CB_CLASSES), *((target == c) + (guess == c) for c in CB_CLASSES)

    def formula(*totals: np.ndarray) -> DrawnScores:
        hits, marked = np.split(np.array(totals), 2)
        return {"mean_3class_f1": percent(2 * hits, marked, undefined=0).mean(axis=0)}

    labels = sorted({*CB_CLASSES, *(p.example.label for p in predictions), *map(answer, predictions)})
    classes = [labels.index(c) for c in CB_CLASSES]

    def of_cells(cells: np.ndarray) -> np.ndarray:
        hits, marked = (cells[:, classes, classes], (cells.sum(axis=1) + cells.sum(axis=2))[:, classes])
        return formula(*hits.T, *marked.T)["mean_3class_f1"]

    kinds = {"mean_3class_f1": Cells(confusion(predictions, labels), of_cells)}
    return tally_of_sums(predictions, count, formula, lambda *_: kinds)


def confusion(predictions: Sequence[Prediction], labels: Sequence[Any]) -> np.ndarray:
    """How often each label was answered where each is right, [right, answered]; a label that never occurs counts 0."""
    place = {label: k for k, label in enumerate(labels)}
    cells = np.zeros((len(labels), len(labels)))
    np.add.at(cells, ([place[p.example.label] for p in predictions], [place[answer(p)] for p in predictions]), 1)
    return cells
