"""The test of differences, against closed forms and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from glue_harness.core.errors import DataError
from glue_harness.core.task import Tally
from glue_harness.metrics.intervals import interval
from glue_harness.metrics.stats import churn_variance, compare_paired, holm
from glue_harness.metrics.student import t_cdf, t_quantile, two_sided


def mean_tally(values, units=None, clusters=None) -> Tally:
    column = np.array(values, float)
    return Tally(units or list(range(len(column))), lambda w: {"mean": 100 * (w @ column) / w.sum(1)}, clusters)


def rights(n: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


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


def test_a_system_does_not_differ_from_itself_but_fifty_examples_do_not_prove_it():
    tally = mean_tally(rights(50, 0.5, 0))
    found = compare_paired([tally], [tally])["mean"]
    assert (found.difference, found.p, found.over) == (0, 1, "examples")
    assert found.high == -found.low == pytest.approx(1.96 * 100 / 50, rel=1e-3)  # one example could have differed


def test_units_are_matched_by_name_not_by_place():
    right = rights(200, 0.7, 3)
    names = [f"q{k}" for k in range(200)]
    turned = mean_tally(right[::-1], names[::-1])
    found = compare_paired([mean_tally(right, names)], [turned])["mean"]
    assert (found.difference, found.p) == pytest.approx((0, 1), abs=1e-9)


def test_other_units_are_refused():
    with pytest.raises(DataError, match=r"cannot be paired: 3 units against 4, and 3 is in one only: compare runs"):
        compare_paired([mean_tally([1, 0, 1])], [mean_tally([1, 0, 1, 1])])


def test_seeds_that_differ_widen_the_interval():
    alike = [mean_tally(rights(300, 0.7, 0))] * 3
    apart = [mean_tally(rights(300, share, 0)) for share in (0.5, 0.7, 0.9)]
    base = [mean_tally(rights(300, 0.7, 5))] * 3
    narrow, wide = (compare_paired(base, side)["mean"] for side in (alike, apart))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert (wide.over, wide.df) == ("seeds and examples", pytest.approx(2, abs=0.5))  # nearly all is of three seeds
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


def judged_by_hand(base, other, clusters=None):
    """The formula in other words: every variance by its definition, of matrices of answers [seeds, examples]."""
    a, b = np.array(base, float), np.array(other, float)
    n, (ka, kb) = a.shape[1], (len(a), len(b))
    places = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    c = places.max() + 1

    def sums(values):  # of the influence of each cluster on a mean
        return np.array([np.bincount(places, row - row.mean()) for row in values]) * 100 / n

    boot = c / (c - 1) * (sums([b.mean(0) - a.mean(0)]) ** 2).sum()
    churn = [c / (c - 1) * (np.var(sums(side), axis=0, ddof=1)).sum() for side in (a, b)]
    seeds = [np.var(100 * side.mean(1), ddof=1) / len(side) for side in (a, b)]
    examples = max(0, boot - churn[0] / ka - churn[1] / kb)
    v = sum(seeds) + examples + (100 / n) ** 2 * (1 / ka + 1 / kb) / 2
    df = v**2 / (seeds[0] ** 2 / (ka - 1) + seeds[1] ** 2 / (kb - 1) + examples**2 / (c - 1))
    d = 100 * (b.mean() - a.mean())
    return d, math.sqrt(v), df, 2 * scipy.stats.t.sf(abs(d) / math.sqrt(v), df)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("seeds", [(2, 2), (3, 5)])
def test_the_test_is_its_formula(seeds, clustered):
    random = np.random.default_rng(1)
    difficulty = random.standard_normal(20).repeat(10)
    base, other = (
        difficulty + 0.8 * random.standard_normal((k, 200)) + 0.2 * random.standard_normal((k, 1)) + shift > 0
        for k, shift in zip(seeds, (0.2, 0.7), strict=True)
    )
    clusters = list(np.arange(20).repeat(10)) if clustered else None
    tallies = [[mean_tally(row, clusters=clusters) for row in side] for side in (base, other)]
    found = compare_paired(*tallies, draws=40_000)["mean"]
    d, se, df, p = judged_by_hand(base, other, clusters)
    assert found.difference == pytest.approx(d)
    assert (found.se, found.df) == (pytest.approx(se, rel=0.02), pytest.approx(df, rel=0.1))
    assert found.p == pytest.approx(p, rel=0.2)
    assert (found.low, found.high) == pytest.approx((d - t_quantile(0.975, found.df) * found.se, 2 * d - found.low))


def test_two_clusters_are_enough_for_a_test_with_one_degree_of_freedom():
    base, other = (np.repeat([1, 0, 1, 0], [a, 20 - a, b, 20 - b]) for a, b in ((5, 10), (15, 12)))
    tallies = [[mean_tally(side, clusters=[*np.arange(2).repeat(20)])] * 2 for side in (base, other)]
    found = compare_paired(*tallies, draws=40_000)["mean"]
    d, se, df, p = judged_by_hand([base] * 2, [other] * 2, np.arange(2).repeat(20))
    assert (found.difference, found.se) == (pytest.approx(d), pytest.approx(se, rel=0.02))
    assert (found.df, found.p) == (pytest.approx(df, rel=0.02), pytest.approx(p, rel=0.05))
    assert df == pytest.approx(1, abs=0.2)


def test_p_and_interval_never_disagree():
    for seed in range(30):
        base, other = (
            [mean_tally(rights(60, share, 10 * seed + k)) for k in range(n)] for share, n in ((0.6, 2), (0.7, 3))
        )
        found = compare_paired(base, other, draws=100)["mean"]
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_one_seed_on_a_side_is_a_test_of_models():
    one, three = [mean_tally(rights(100, 0.6, 1))], [mean_tally(rights(100, 0.6, k)) for k in range(3)]
    assert [compare_paired(*pair)["mean"].over for pair in ((one, one), (one, three), (three, three))] == [
        "examples",
        "examples",
        "seeds and examples",
    ]


def test_few_differences_are_not_believed_much_sooner_than_by_the_exact_test():
    for only_other in range(3, 12):
        base = np.ones(300)
        base[:only_other] = 0
        p = compare_paired([mean_tally(base)], [mean_tally(np.ones(300))], draws=4000)["mean"].p
        exact = scipy.stats.binomtest(0, only_other).pvalue
        assert p > exact / 2
        if only_other < 5:
            assert p > 0.05


def test_one_example_tells_nothing():
    assert math.isnan(compare_paired([mean_tally([0])], [mean_tally([1])])["mean"].p)


def test_undefined_values_have_no_test():
    nothing = Tally([0, 1, 2], lambda w: {"mean": np.full(len(w), np.nan)})
    assert math.isnan(compare_paired([nothing], [nothing])["mean"].p)


def test_churn_is_what_changing_answers_add_to_the_variance_over_seeds():
    random = np.random.default_rng(0)
    answers = random.random((2, 500)) < 0.9
    churn = (answers[0] != answers[1]).mean()
    found = churn_variance([mean_tally(row) for row in answers], draws=20_000)["mean"]
    lucky = (100 * (answers[0].mean() - answers[1].mean())) ** 2 / 500 / 2  # a part of D^2/n, nearly nothing
    assert found == pytest.approx(100**2 * churn / (2 * 500) - lucky, rel=0.03)


@pytest.mark.parametrize("df", [1, 1.5, 2, 4, 9.3, 30, 250, 1e4, math.inf])
def test_students_t_is_scipys(df):
    for t in (-40.0, -3.0, -0.4, 0.0, 1e-3, 0.7, 2.0, 5.0, 12.0):
        assert t_cdf(t, df) == pytest.approx(scipy.stats.t.cdf(t, df), rel=1e-9, abs=1e-15)
        assert two_sided(t, df) == pytest.approx(2 * scipy.stats.t.sf(abs(t), df), rel=1e-9)
    for share in (0.001, 0.025, 0.5, 0.8, 0.975, 0.9999):
        assert t_quantile(share, df) == pytest.approx(scipy.stats.t.ppf(share, df), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("df", [1e6, 1e8, 1e20, 1e57])
def test_students_t_of_many_degrees_of_freedom_is_normal(df):
    assert t_cdf(-3.0, df) == pytest.approx(scipy.stats.norm.cdf(-3.0), rel=1e-4)
    assert t_quantile(0.975, df) == pytest.approx(1.959964, rel=1e-5)


def test_holm_corrects_from_the_smallest_up():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan, "e": 0.9})
    assert found == pytest.approx({"a": 0.04, "b": 0.09, "c": 0.09, "d": math.nan, "e": 0.9}, nan_ok=True)
    assert holm({}) == {}
