"""Student's t as scipy has it, without scipy."""

import math

import pytest
from scipy.stats import t as student

from glue_harness.metrics.student import T_975, Variance, p_of, t_975, total


@pytest.mark.parametrize("freedom", [1, 2, 2.4, 3.7, 12.2, 29.5, 30, 31, 60, 1000, 1e7])
def test_the_quantile(freedom):
    assert t_975(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=5e-3)
    assert Variance(4, freedom).half_width == 2 * t_975(freedom)


def test_the_table_is_scipys_to_its_last_digit():
    assert tuple(round(student.ppf(0.975, freedom), 3) for freedom in range(1, 31)) == T_975
    assert [t_975(freedom) for freedom in range(1, 31)] == list(T_975)


@pytest.mark.parametrize("freedom", [1, 1.5, 2, 8, 30, 1e5])
@pytest.mark.parametrize("difference", [0, 0.01, -1, 3, 40])
def test_p(freedom, difference):
    assert p_of(difference, Variance(1, freedom)) == pytest.approx(2 * student.sf(abs(difference), freedom), rel=1e-8)


def test_p_without_uncertainty():
    assert p_of(1.96, Variance(1)) == pytest.approx(0.05, rel=1e-3)
    assert (p_of(0, Variance(0)), p_of(0.01, Variance(0))) == (1, 0)


def test_satterthwaite():
    """Two equal variances of 4 degrees each have 8 together; one that is known adds none."""
    assert total([Variance(1, 4), Variance(1, 4)]) == (2, 8)
    assert total([Variance(1), Variance(1)]) == (2, math.inf)
    assert total([Variance(1, 4), Variance(1)]) == (2, 16)
