"""T5's metrics: exact, vectorised over bootstrap draws, and without network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glue_harness.task import Metric, Prediction, Tally


def _accuracy(predictions: Sequence[Prediction]) -> Tally:
    right = np.array([(-1 if p.label is None else p.label) == p.example.label for p in predictions], float)
    return Tally([p.example.id for p in predictions], lambda w: {"accuracy": 100 * (w @ right) / w.sum(1)})


accuracy = Metric(("accuracy",), _accuracy)
