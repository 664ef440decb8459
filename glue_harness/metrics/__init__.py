"""T5's metrics: exact, vectorised over bootstrap draws, without network. Declared here, computed in the modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from glue_harness.core.task import Metric, Prediction, Tally

EVALUATE_MODULE = str(Path(__file__).parent / "evaluate_t5.py")  # for evaluate.load(EVALUATE_MODULE, task name)


def _metric(place: str, *keys: str) -> Metric:
    """A metric computed by `module.function` of this package, which is imported when it first counts."""
    module, _, function = place.partition(".")

    def tally(predictions: Sequence[Prediction]) -> Tally:
        return getattr(import_module(f"{__name__}.{module}"), function)(predictions)

    return Metric(keys, tally)


def _bleu_signature() -> str:
    from glue_harness.metrics.generation import bleu_signature

    return bleu_signature()


accuracy = _metric("classification.accuracy", "accuracy")
f1 = _metric("classification.f1", "f1")
matthews = _metric("classification.matthews", "matthews_corrcoef")
mean_3class_f1 = _metric("classification.mean_3class_f1", "mean_3class_f1")
exact_match = _metric("classification.exact_match", "exact_match")
pearson = _metric("correlation.pearson", "pearson_corrcoef")
spearman = _metric("correlation.spearman", "spearman_corrcoef")
squad = _metric("question_answering.squad", "em", "f1")
rouge = _metric("generation.rouge", "rouge1", "rouge2", "rougeLsum")
bleu = replace(_metric("generation.bleu", "bleu"), signature=_bleu_signature)

ALL = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews": matthews,
    "mean_3class_f1": mean_3class_f1,
    "exact_match": exact_match,
    "pearson": pearson,
    "spearman": spearman,
    "squad": squad,
    "rouge": rouge,
    "bleu": bleu,
}


def measure(metrics: Sequence[Metric], predictions: Sequence[Prediction]) -> dict[str, float]:
    """Every value of every metric, x100; NaN where undefined."""
    return values_of([metric.tally(predictions) for metric in metrics])


def values_of(tallies: Sequence[Tally]) -> dict[str, float]:
    """The values themselves of what metrics counted: every unit with weight 1."""
    import numpy as np

    values: dict[str, float] = {}
    for units, score in tallies:
        values |= {key: float(value[0]) for key, value in score(np.ones((1, len(units)))).items()}
    return values
