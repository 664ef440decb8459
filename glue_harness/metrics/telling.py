"""How well a model tells what was asked of text alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from glue_harness.core.task import Prediction, Tally
from glue_harness.suite.text_alone import Told


def tally(predictions: Sequence[Prediction]) -> Tally:
    """The geometric mean of what the right tokens were given, exp(-loss) with the mean loss of a token, and the share
    of tokens that were the likeliest; both x 100."""
    told = [prediction.label or Told(0.0, 0, 0) for prediction in predictions]
    columns = numpy.array([(one.loss, one.right, one.tokens) for one in told], float)

    def score(weights: numpy.ndarray) -> dict[str, numpy.ndarray]:
        loss, right, tokens = (weights @ columns).T
        with numpy.errstate(invalid="ignore", divide="ignore"):  # nothing was asked: neither has a value
            return {"probability": 100 * numpy.exp(-loss / tokens), "accuracy": 100 * right / tokens}

    return Tally(list(range(len(told))), score)
