"""What a number of seeds can find, before an hour is spent."""

from __future__ import annotations

import math
from typing import NamedTuple

from glue_harness.metrics.student import t_quantile

EXAMPLES, BOTH = "examples", "seeds and examples"  # what a test is over
POWER = 0.80  # how often a difference is found, if it is as large as is said


class Spread(NamedTuple):
    """How far the seeds of one recipe lie apart on a value, as known from elsewhere."""

    sd: float
    df: int  # seeds that it rests on, less one for each recipe
    source: str  # who measured it
    churn: float | None = None  # what answers that change between seeds add to sd^2; None: not known

    @property
    def own(self) -> float:
        """sd_own^2 = max(0, sd^2 - churn/2n): what is the seeds' own, and no chance of the examples'."""
        return max(0.0, self.sd**2 - (self.churn or 0.0))


def factor(df: float) -> float:
    """t.975 + t.80: a difference of so many standard errors is found with 80 %."""
    return t_quantile(0.975, df) + t_quantile(POWER, df)


def least_between_recipes(spread: Spread, seeds: int) -> float:
    """MDE = (t.975 + t.80) sqrt(2 (sd_own^2 + churn/2n) / k), df = 2k - 2, of two recipes with k seeds each.

    For accuracy `spread.churn` is 100^2 churn/2n. Where it is not known, sd^2 stands for the sum: it is part of that.
    What recipes make of single examples, which more seeds do not average out, comes on top and is not known before.
    """
    variance = spread.own + (spread.churn or 0.0)
    return factor(2 * seeds - 2) * math.sqrt(2 * variance / seeds)


def least_between_models(spread: Spread) -> float:
    """(z.975 + z.80) sqrt(churn/n): of two single models. Churn that is not known is at most 2n sd^2."""
    return factor(math.inf) * math.sqrt(2 * (spread.sd**2 if spread.churn is None else spread.churn))


def borrowed_luck(difference: float, se: float, spread: Spread) -> tuple[float, float]:
    """z = D / sqrt(SE^2 + 2 max(0, sd^2 - churn/2n)) of one seed against one, and its degrees of freedom.

    Churn, where it is not known, is that of the two models: churn/2n = SE^2/2. The sd was itself estimated, so that z
    is read as Student's t, with Satterthwaite's degrees of freedom.
    """
    churn = se * se / 2 if spread.churn is None else spread.churn
    luck = 2 * max(0.0, spread.sd**2 - churn)
    variance = se * se + luck
    if not variance:
        return math.nan, math.inf
    return difference / math.sqrt(variance), variance**2 / (luck**2 / spread.df) if luck else math.inf
