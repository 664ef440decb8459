"""The probability of improvement, against SciPy's U and by hand."""

import random

import pytest

from glue_harness.metrics.improvement import improvement


def test_each_task_counts_as_its_u_says():
    stats = pytest.importorskip("scipy.stats")
    luck = random.Random(0)
    first = [[float(luck.randrange(6)) for _ in range(5)] for _ in range(4)]
    other = [[float(luck.randrange(8)) for _ in range(3)] for _ in range(4)]
    shares = [stats.mannwhitneyu(b, a).statistic / 15 for a, b in zip(first, other, strict=True)]
    found = improvement(first, other)
    assert found.probability == pytest.approx(sum(shares) / 4)
    assert found.low < found.probability < found.high
    turned = improvement(other, first)
    assert turned.probability == pytest.approx(1 - found.probability)


def test_what_always_wins_is_sure_and_equals_are_even():
    assert improvement([[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]) == (1.0, 1.0, 1.0)
    assert improvement([[1.0, 1.0]], [[1.0, 1.0]]) == (0.5, 0.5, 0.5)


def test_the_interval_is_that_of_the_seeds():
    """One pair of two seeds each, one of which wins twice: draws give 0, 1/2 or 1 of each side's seeds."""
    found = improvement([[1.0, 3.0]], [[2.0, 2.0]], draws=20_000)
    assert found == (0.5, 0.0, 1.0)
