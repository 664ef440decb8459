"""ROUGE and BLEU of free text, counted by rouge-score and sacrebleu."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from glue_harness.core.task import Prediction, Tally
from glue_harness.metrics.units import Values, percent, tally_of_sums

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU

ROUGES = ("rouge1", "rouge2", "rougeLsum")
ORDERS = 4  # the longest n-gram of BLEU


def rouge(predictions: Sequence[Prediction]) -> Tally:
    """Mean F-measures, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(ROUGES)

    def count(prediction: Prediction) -> Iterable[float]:
        scores = scorer.score(_in_lines(prediction.example.label), _in_lines(prediction.label))
        return 1, *(scores[key].fmeasure for key in ROUGES)

    def formula(totals: np.ndarray) -> Values:
        n, *sums = totals.T
        return {key: percent(of_key, n) for key, of_key in zip(ROUGES, sums, strict=True)}

    return tally_of_sums(predictions, count, formula)


def _in_lines(text: str) -> str:
    """One sentence a line, as rougeLsum reads a summary."""
    return text.replace(" . ", " .\n")


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


def _corpus_bleu(totals: np.ndarray) -> Values:
    """Exponential smoothing: the k-th order without a match counts as 1 / 2^k matches."""
    length, wanted, matches, ngrams = np.split(totals, [1, 2, 2 + ORDERS], axis=1)
    halvings = np.cumsum(matches == 0, axis=1)
    smoothed = np.where(matches == 0, 0.5**halvings, matches)
    with np.errstate(divide="ignore", invalid="ignore"):
        brevity = np.minimum(1 - wanted / length, 0)[:, 0]
        value = 100 * np.exp(brevity + np.log(smoothed / ngrams).mean(axis=1))
    defined = (matches[:, 0] > 0) & (ngrams > 0).all(axis=1)
    return {"bleu": np.where(defined, value, 0)}
