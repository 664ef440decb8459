"""ROUGE and BLEU of free text, counted by rouge-score and sacrebleu."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from glue_harness.core.task import Prediction, Tally
from glue_harness.metrics.units import DrawnScores, percent, tally_of_sums

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU

ROUGES = ("rouge1", "rouge2", "rougeLsum")


def rouge(predictions: Sequence[Prediction]) -> Tally:
    """Mean F-measures, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(ROUGES)

    def count(prediction: Prediction) -> Iterable[float]:
        texts = prediction.example.label, prediction.label
        scores = scorer.score(*(text.replace(" . ", " .\n") for text in texts))  # rougeLsum: a sentence a line
        return 1, *(scores[key].fmeasure for key in ROUGES)

    def formula(n: np.ndarray, *sums: np.ndarray) -> DrawnScores:
        return {key: percent(of_key, n) for key, of_key in zip(ROUGES, sums, strict=True)}

    return tally_of_sums(predictions, count, formula)


def bleu(predictions: Sequence[Prediction]) -> Tally:
    """Corpus BLEU: n-gram counts add up over sentences, the formula comes last."""
    sacrebleu = _sacrebleu()

    def count(prediction: Prediction) -> tuple[int, ...]:
        score = sacrebleu.sentence_score(prediction.label, [prediction.example.label])
        return score.sys_len, score.ref_len, *score.counts, *score.totals

    return tally_of_sums(predictions, count, _corpus_bleu)


def bleu_signature() -> str:
    """How BLEU was computed, in sacrebleu's own notation."""
    sacrebleu = _sacrebleu(effective_order=False)
    sacrebleu.corpus_score([""], [[""]])  # the signature names the number of references, known after a score
    return str(sacrebleu.get_signature())


@cache
def _sacrebleu(effective_order: bool = True) -> BLEU:
    """T5's settings. Sentence counts are the same with effective order, without which each one is warned about."""
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize="intl", smooth_method="exp", effective_order=effective_order)


def _corpus_bleu(length: np.ndarray, wanted: np.ndarray, *of_orders: np.ndarray) -> DrawnScores:
    """100 exp(min(1 - wanted / length, 0) + the mean log precision over orders of n-grams).

    Exponential smoothing: the k-th order without a match counts as 1 / 2^k matches.
    """
    matches, ngrams = np.split(np.array(of_orders), 2)
    smoothed = np.where(matches == 0, 0.5 ** np.cumsum(matches == 0, axis=0), matches)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = 100 * np.exp(np.minimum(1 - wanted / length, 0) + np.log(smoothed / ngrams).mean(axis=0))
    defined = (matches[0] > 0) & (ngrams > 0).all(axis=0)
    return {"bleu": np.where(defined, value, 0)}
