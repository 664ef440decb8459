"""What the best of n trials is expected to be, drawn at random from those that were made (Dodge et al., 2019).

A value that was the best of many says as much of the search as of the method; the curve says what fewer would have
given.
"""

from __future__ import annotations

from collections.abc import Sequence


def expected_best(values: Sequence[float], n: int) -> float:
    """The mean of the largest of n values, drawn with replacement: sum of v (F(v)^n - F(v-)^n)."""
    ordered, size = sorted(values), len(values)
    return sum(value * ((k / size) ** n - ((k - 1) / size) ** n) for k, value in enumerate(ordered, 1))
