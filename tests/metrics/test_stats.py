"""Intervals and tests of differences, against closed forms and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from glue_harness.core.errors import DataError
from glue_harness.core.task import Tally
from glue_harness.metrics import stats
from glue_harness.metrics.stats import compare_paired, holm, interval, mcnemar, p_value


def mean_tally(values, units=None) -> Tally:
    column = np.array(values, float)
    return Tally(units or list(range(len(column))), lambda w: {"mean": 100 * (w @ column) / w.sum(1)})


def rights(n: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def test_interval_has_the_width_of_the_normal_approximation():
    right = rights(2000, 0.8, 0)
    low, high = interval(mean_tally(right))["mean"]
    spread = 100 * math.sqrt(right.mean() * (1 - right.mean()) / 2000)
    assert low < 100 * right.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.1)


def test_interval_is_repeatable_and_wider_at_a_higher_level():
    tally = mean_tally(rights(100, 0.5, 0))
    assert interval(tally, seed=1) == interval(tally, seed=1) != interval(tally, seed=2)
    (low, high), (lower, higher) = (interval(tally, level=level)["mean"] for level in (0.9, 0.99))
    assert lower < low < high < higher


def test_memory_is_bounded_without_changing_the_numbers(monkeypatch):
    tally, largest = mean_tally(rights(300, 0.5, 0)), []
    whole = interval(tally, draws=50)
    monkeypatch.setattr(stats, "CHUNK", 1000)
    watched = Tally(tally.units, lambda w: largest.append(w.size) or tally.score(w))
    assert interval(watched, draws=50) == whole
    assert max(largest) <= 1000


def test_draws_without_a_value_are_left_out():
    def score(weights):
        return {"sometimes": np.where(weights[:, 0] > 0, weights[:, 1], np.nan), "never": np.full(len(weights), np.nan)}

    found = interval(Tally(["a", "b", "c"], score), draws=200)
    assert not any(map(math.isnan, found["sometimes"]))
    assert all(map(math.isnan, found["never"]))


def test_a_clear_difference_is_found_and_signed():
    worse, better = rights(1000, 0.6, 1), rights(1000, 0.8, 2)
    found = compare_paired([mean_tally(worse)], [mean_tally(better)])["mean"]
    assert found.difference == pytest.approx(100 * (better.mean() - worse.mean()))
    assert 0 < found.low < found.difference < found.high
    assert found.p < 0.01
    back = compare_paired([mean_tally(better)], [mean_tally(worse)])["mean"]
    assert (back.difference, back.p) == (-found.difference, found.p)


def test_pairing_sees_what_two_intervals_do_not():
    base = rights(1000, 0.8, 1)
    other = base.copy()
    other[np.flatnonzero(~base)[:15]] = True
    first, second = (interval(mean_tally(right))["mean"] for right in (base, other))
    assert first[1] > second[0]  # they overlap
    assert compare_paired([mean_tally(base)], [mean_tally(other)])["mean"].p < 0.01


def test_a_system_does_not_differ_from_itself():
    tally = mean_tally(rights(50, 0.5, 0))
    assert compare_paired([tally], [tally])["mean"] == (0, 0, 0, 1)


def test_units_are_matched_by_name_not_by_place():
    right = rights(200, 0.7, 3)
    names = [f"q{k}" for k in range(200)]
    turned = mean_tally(right[::-1], names[::-1])
    assert compare_paired([mean_tally(right, names)], [turned])["mean"] == pytest.approx((0, 0, 0, 1), abs=1e-9)


def test_other_units_are_refused():
    with pytest.raises(DataError, match=r"cannot be paired: 3 units against 4, and 3 is in one only: compare runs"):
        compare_paired([mean_tally([1, 0, 1])], [mean_tally([1, 0, 1, 1])])


def test_seeds_that_differ_widen_the_interval():
    alike = [mean_tally(rights(300, 0.7, 0))] * 3
    apart = [mean_tally(rights(300, share, 0)) for share in (0.5, 0.7, 0.9)]
    base = [mean_tally(rights(300, 0.7, 5))] * 3
    narrow, wide = (compare_paired(base, side)["mean"] for side in (alike, apart))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    mean_of_seeds = np.mean([tally.score(np.ones((1, 300)))["mean"] for tally in apart])
    assert wide.difference == pytest.approx(mean_of_seeds - base[0].score(np.ones((1, 300)))["mean"][0])


def test_chance_is_called_a_difference_as_often_as_it_should():
    p_values = [
        compare_paired([mean_tally(rights(200, 0.5, 2 * k))], [mean_tally(rights(200, 0.5, 2 * k + 1))], draws=200)[
            "mean"
        ].p
        for k in range(200)
    ]
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.10


def test_p_value_counts_both_sides_and_is_never_0():
    assert p_value(np.array([1.0] * 99)) == pytest.approx(0.02)
    assert p_value(np.array([1.0, -1.0] * 50)) == 1
    assert math.isnan(p_value(np.array([np.nan])))


@pytest.mark.parametrize(("only_base", "only_other"), [(0, 0), (3, 9), (9, 3), (50, 50), (700, 800)])
def test_mcnemar_is_the_exact_binomial_test(only_base, only_other):
    base = [True] * only_base + [False] * only_other + [True, False]
    other = [False] * only_base + [True] * only_other + [True, False]
    n = only_base + only_other
    expected = scipy.stats.binomtest(only_base, n).pvalue if n else 1
    assert mcnemar(base, other) == pytest.approx(expected)


def test_mcnemar_refuses_other_examples():
    with pytest.raises(DataError, match="cannot be paired: 1 answers against 2"):
        mcnemar([True], [True, False])


def test_holm_corrects_from_the_smallest_up():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan, "e": 0.9})
    assert found == pytest.approx({"a": 0.04, "b": 0.09, "c": 0.09, "d": math.nan, "e": 0.9}, nan_ok=True)
    assert holm({}) == {}
