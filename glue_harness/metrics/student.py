"""The normal distribution and Student's t, without SciPy: what a p value and the width of an interval are read from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

NORMAL = NormalDist()
TINY = 1e-300
LARGE = 1e7  # degrees of freedom beyond which t is normal to 8 digits, and the logarithms below lose as many
Z_975 = 1.960
# 97.5 % quantile for 1 to 30 degrees of freedom
T_975: tuple[float, ...] = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
T_975 += (2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)
T_975 += (2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


class Variance(NamedTuple):
    """Of an estimate, and how many degrees of freedom it was estimated with; inf where it counts as known."""

    value: float
    freedom: float = math.inf

    @property
    def half_width(self) -> float:
        """Of the 95 % interval."""
        return t_975(self.freedom) * math.sqrt(self.value)


def total(variances: Iterable[Variance]) -> Variance:
    """Of a sum of independent parts. Satterthwaite: df = V^2 / sum(V_i^2 / df_i)."""
    parts = list(variances)
    value = sum(part.value for part in parts)
    uncertain = sum(part.value**2 / part.freedom for part in parts)
    return Variance(value, value**2 / uncertain if uncertain else math.inf)


def t_975(freedom: float) -> float:
    """t_quantile(0.975, df) to 4 digits, at once: a board wants thousands.

    Between the values of the table its logarithm is nearly straight in 1 / df.
    """
    below = min(max(int(min(freedom, 1e9)), 1), len(T_975))
    low, above = T_975[below - 1], T_975[below] if below < len(T_975) else Z_975
    step = 1 / below - (1 / (below + 1) if below < len(T_975) else 0)
    return low * (above / low) ** ((1 / below - 1 / max(freedom, 1)) / step)


def p_of(difference: float, variance: Variance) -> float:
    """Two-sided p of a difference whose true value may be 0."""
    if not variance.value:
        return 1.0 if not difference else 0.0
    return two_sided(difference / math.sqrt(variance.value), variance.freedom)


def t_cdf(t: float, df: float) -> float:
    """The share of Student's t below `t`: 1 - I_x(df/2, 1/2) / 2 where x = df / (df + t^2), for t above 0."""
    if df > LARGE:
        return NORMAL.cdf(t)
    tail = incomplete_beta(df / 2, 0.5, df / (df + t * t)) / 2 if math.isfinite(t) else 0.0
    return 1 - tail if t > 0 else tail


def two_sided(t: float, df: float) -> float:
    """How often |T| is at least |t|. From the lower tail, which does not round to 0 as 1 - cdf does."""
    return min(1.0, 2 * t_cdf(-abs(t), df))


@cache
def t_quantile(share: float, df: float) -> float:
    """Where t_cdf reaches `share`, by halving an interval around it until its ends agree to 1e-12."""
    if df > LARGE:
        return NORMAL.inv_cdf(share)
    if share < 0.5:
        return -t_quantile(1 - share, df)
    low, high = 0.0, 1.0
    while t_cdf(high, df) < share:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, df) < share else (low, middle)
    return high


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (modified Lentz's method).

    I_x(a, b) = x^a (1-x)^b / (a B(a, b)) * 1/(1 + d1/(1 + d2/(1 + ...))), where
    d_2m = m (b-m) x / ((a+2m-1) (a+2m)) and d_2m+1 = -(a+m) (a+b+m) x / ((a+2m) (a+2m+1)).
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction of the mirrored function converges fast
        return 1 - incomplete_beta(b, a, 1 - x)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta) / a
    d = 1 / _away_from_0(1 - (a + b) * x / (a + 1))
    c, fraction = 1.0, d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _away_from_0(1 + term * d), _away_from_0(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction


def _away_from_0(value: float) -> float:
    return value if abs(value) > TINY else TINY
