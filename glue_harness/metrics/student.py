"""Student's t without numpy: how far an estimate of uncertain variance may be from what it estimates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

Z_975 = 1.960
# 97.5 % quantile for 1 to 30 degrees of freedom
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
T_975 += (2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


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
    """The 97.5 % quantile. Between the values of the table its logarithm is nearly straight in 1 / df."""
    below = min(max(int(min(freedom, 1e9)), 1), len(T_975))
    low, above = T_975[below - 1], T_975[below] if below < len(T_975) else Z_975
    step = 1 / below - (1 / (below + 1) if below < len(T_975) else 0)
    return low * (above / low) ** ((1 / below - 1 / max(freedom, 1)) / step)


def p_of(difference: float, variance: Variance) -> float:
    """Two-sided p of a difference whose true value may be 0: I_x(df/2, 1/2) at x = df / (df + t^2)."""
    if not variance.value:
        return 1.0 if not difference else 0.0
    squared = difference**2 / variance.value
    if math.isinf(variance.freedom):
        return math.erfc(math.sqrt(squared / 2))
    return _beta_share(variance.freedom / 2, 0.5, variance.freedom / (variance.freedom + squared))


def _beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's way)."""
    if not 0 < x < 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction of the other side converges faster
        return 1 - _beta_share(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), tiny)
    found = d
    for m in range(1, 300):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + factor * d, tiny)
            c = _not_zero(1 + factor / c, tiny)
            found *= c * d
        if abs(c * d - 1) < 1e-13:
            break
    return front * found


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
