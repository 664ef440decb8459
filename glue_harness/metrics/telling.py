"""How well a model tells what was asked of text alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from glue_harness.core.task import Prediction, Tally
from glue_harness.metrics.units import by_unit
from glue_harness.suite.text_alone import Told


def tally(predictions: Sequence[Prediction]) -> Tally:
    """The geometric mean of what the right tokens were given, exp(-loss) with the mean loss of a token, and the share
    of tokens that were the likeliest; both x 100."""
    made = tally_pairs(predictions)

    def score(weights: numpy.ndarray) -> dict[str, numpy.ndarray]:
        return {name: value for name, value in made.score(weights).items() if name != "next_accuracy"}

    return Tally(made.units, score)


def tally_pairs(predictions: Sequence[Prediction]) -> Tally:
    """The same, and the share of pairs of which was told rightly whether the second segment follows the first."""
    units = by_unit(predictions)
    columns = numpy.array([numpy.sum([told(p) for p in members], axis=0) for members in units.values()], float)

    def score(weights: numpy.ndarray) -> dict[str, numpy.ndarray]:
        loss, right, tokens, next_right, pairs = (weights @ columns).T
        with numpy.errstate(invalid="ignore", divide="ignore"):  # nothing was asked: none has a value
            values = {"probability": numpy.exp(-loss / tokens), "accuracy": right / tokens}
            return {name: 100 * value for name, value in (values | {"next_accuracy": next_right / pairs}).items()}

    return Tally(list(units), score)


def told(prediction: Prediction) -> Told:
    """Nothing, where the answer says nothing."""
    return prediction.label if isinstance(prediction.label, Told) else Told(0.0, 0, 0)
