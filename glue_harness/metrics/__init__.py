"""T5's metrics: exact, vectorised over bootstrap draws, without network. Declared here, computed in the modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from glue_harness.core.task import Metric, Prediction, Tally

EVALUATE_MODULE = str(Path(__file__).parent / "evaluate_t5.py")  # for evaluate.load(EVALUATE_MODULE, task name)


def _lazy(place: str) -> Callable[..., Any]:
    """`module.function` of this package, imported when it is first called: to declare a metric stays cheap."""
    module, _, function = place.partition(".")
    return lambda *arguments: getattr(import_module(f"{__name__}.{module}"), function)(*arguments)


_SHARE, _CORRELATION = (0.0, 100.0), (-100.0, 100.0)
accuracy = Metric(("accuracy",), _lazy("classification.accuracy"), limits=_SHARE)
f1 = Metric(("f1",), _lazy("classification.f1"), limits=_SHARE)
matthews = Metric(("matthews_corrcoef",), _lazy("classification.matthews"), limits=_CORRELATION)
mean_3class_f1 = Metric(("mean_3class_f1",), _lazy("classification.mean_3class_f1"), limits=_SHARE)
exact_match = Metric(("exact_match",), _lazy("classification.exact_match"), limits=_SHARE)
pearson = Metric(("pearson_corrcoef",), _lazy("correlation.pearson_tally"), limits=_CORRELATION)
spearman = Metric(("spearman_corrcoef",), _lazy("correlation.spearman_tally"), limits=_CORRELATION)
told = Metric(("probability", "accuracy"), _lazy("telling.tally"), limits=_SHARE)
told_pairs = Metric(("probability", "accuracy", "next_accuracy"), _lazy("telling.tally_pairs"), limits=_SHARE)
squad = Metric(("em", "f1"), _lazy("question_answering.squad"), limits=_SHARE)
rouge = Metric(("rouge1", "rouge2", "rougeLsum"), _lazy("generation.rouge"), limits=_SHARE)
bleu = Metric(("bleu",), _lazy("generation.bleu"), signature=_lazy("generation.bleu_signature"), limits=_SHARE)


def measure(metrics: Sequence[Metric], predictions: Sequence[Prediction]) -> dict[str, float]:
    """Every value of every metric, x100; NaN where undefined."""
    return values_of([metric.tally(predictions) for metric in metrics])


def values_of(tallies: Sequence[Tally]) -> dict[str, float]:
    """The values themselves of what metrics counted: every unit with weight 1."""
    import numpy as np

    values: dict[str, float] = {}
    for tally in tallies:
        values |= {key: float(value[0]) for key, value in tally.score(np.ones((1, len(tally.units)))).items()}
    return values
