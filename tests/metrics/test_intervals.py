"""Intervals by the kind of a value, against closed forms and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from glue_harness import metrics
from glue_harness.core.task import Example, Prediction, Tally
from glue_harness.metrics import bootstrap
from glue_harness.metrics.bootstrap import cluster_places, drawn_weights, resampled
from glue_harness.metrics.intervals import interval, wilson
from glue_harness.metrics.units import Share


def mean_tally(values, clusters=None, kinds=None) -> Tally:
    column = np.array(values, float)
    score = lambda w: {"mean": 100 * (w @ column) / w.sum(1)}  # noqa: E731
    return Tally(list(range(len(column))), score, clusters, kinds or {})


def share_tally(values, clusters=None) -> Tally:
    column = np.array(values, float)
    return mean_tally(values, clusters, {"mean": Share(column, np.ones(len(column)))})


def rights(n: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def predictions(pairs, clusters=None) -> list[Prediction]:
    clusters = clusters or [None] * len(pairs)
    return [
        Prediction(Example(str(k), "", "", {}, gold, cluster=cluster), "", guess)
        for k, ((gold, guess), cluster) in enumerate(zip(pairs, clusters, strict=True))
    ]


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
    monkeypatch.setattr(bootstrap, "CHUNK", 1000)
    watched = Tally(tally.units, lambda w: largest.append(w.size) or tally.score(w))
    assert interval(watched, draws=50) == whole
    assert max(largest) <= 1000


def test_draws_without_a_value_are_left_out():
    def score(weights):
        return {"sometimes": np.where(weights[:, 0] > 0, weights[:, 1], np.nan), "never": np.full(len(weights), np.nan)}

    found = interval(Tally(["a", "b", "c"], score), draws=200)
    assert not any(map(math.isnan, found["sometimes"]))
    assert all(map(math.isnan, found["never"]))


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (99, 100), (37, 50), (1, 1)])
def test_wilson_is_scipys(hits, n):
    ours = wilson(hits / n, n, scipy.stats.norm.ppf(0.975))
    assert ours == pytest.approx(scipy.stats.binomtest(hits, n).proportion_ci(method="wilson"), abs=1e-12)
    assert wilson(0.0, 0, 1.96) == (0, 1)


def test_accuracy_has_wilsons_interval():
    found = metrics.accuracy.tally(predictions([(1, 1)] * 37 + [(1, 0)] * 13))
    low, high = scipy.stats.binomtest(37, 50).proportion_ci(method="wilson")
    assert interval(found)["accuracy"] == pytest.approx((100 * low, 100 * high))


def test_f1_has_wilsons_interval_of_q():
    pairs = [(1, 1)] * 30 + [(1, 0)] * 6 + [(0, 1)] * 4 + [(0, 0)] * 60
    low, high = (2 * q / (1 + q) for q in scipy.stats.binomtest(30, 40).proportion_ci(method="wilson"))
    assert interval(metrics.f1.tally(predictions(pairs)))["f1"] == pytest.approx((100 * low, 100 * high))


@pytest.mark.parametrize(
    "name", ["accuracy", "f1", "matthews", "mean_3class_f1", "pearson", "spearman", "squad", "rouge"]
)
@pytest.mark.parametrize("clustered", [False, True])
def test_no_interval_has_zero_width_and_each_holds_its_value(name, clustered):
    golds = {"pearson": [1.0, 2.0, 3.0] * 4, "squad": [("a b",)] * 12, "rouge": ["a b"] * 12}
    golds["spearman"] = golds["pearson"]
    right = golds.get(name, [0, 1, 1] * 4)
    pairs = [(gold, gold[0] if name == "squad" else gold) for gold in right]
    tally = getattr(metrics, name).tally(predictions(pairs, [k // 2 for k in range(12)] if clustered else None))
    values = metrics.values_of([tally])
    for key, (low, high) in interval(tally).items():
        assert low < values[key] <= high + 1e-9
        assert low >= -100
        assert high <= 100 + 1e-9
        if key != "mean_3class_f1":
            assert values[key] == pytest.approx(100)


def test_examples_of_a_cluster_that_are_alike_count_once():
    right = rights(60, 0.8, 0)
    alone = interval(share_tally(right))["mean"]
    fourfold = interval(share_tally(right.repeat(4), [*np.arange(60).repeat(4)]))["mean"]
    assert fourfold == pytest.approx(alone, rel=0.02)  # t of 59 degrees of freedom, C / (C - 1)
    assert fourfold[1] - fourfold[0] > alone[1] - alone[0]
    unaware = interval(share_tally(right.repeat(4)))["mean"]
    assert (unaware[1] - unaware[0]) == pytest.approx((alone[1] - alone[0]) / 2, rel=0.05)


def test_clusters_in_which_all_are_right_count_once():
    found = interval(share_tally(np.ones(40), [*np.arange(10).repeat(4)]))["mean"]
    low, _ = wilson(1.0, 10, scipy.stats.t.ppf(0.975, 9))
    assert found == pytest.approx((100 * low, 100))


def test_the_design_effect_of_two_clusters_has_one_degree_of_freedom():
    right = [1] * 9 + [0] * 1 + [1] * 4 + [0] * 6
    deff = 2 / 1 * 2 * 2.5**2 / (20 * 0.65 * 0.35)  # each cluster is 2.5 hits off
    low, high = wilson(0.65, 20 / deff, scipy.stats.t.ppf(0.975, 1))
    assert interval(share_tally(right, [*np.arange(2).repeat(10)]))["mean"] == pytest.approx((100 * low, 100 * high))


def test_a_table_of_answers_has_the_interval_of_its_dirichlet():
    pairs = [(0, 0)] * 30 + [(0, 1)] * 6 + [(1, 0)] * 4 + [(1, 1)] * 60
    low, high = interval(metrics.matthews.tally(predictions(pairs)), draws=20_000)["matthews_corrcoef"]
    a, b, c, d = np.random.default_rng(1).dirichlet([30.5, 6.5, 4.5, 60.5], 20_000).T
    mcc = 100 * (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    assert (low, high) == pytest.approx(np.quantile(mcc, [0.025, 0.975]), abs=0.5)


def test_a_bootstrap_draws_whole_clusters():
    tally = mean_tally(np.ones(6), ["x", "y", "x", "z", "z", "z"])
    places = cluster_places(tally)
    assert places.tolist() == [0, 1, 0, 2, 2, 2]
    (weights,) = drawn_weights(places, 50, 0)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_other_values_have_expanded_percentiles():
    values = np.random.default_rng(0).normal(0.5, 0.1, 20)
    low, high = interval(mean_tally(values), draws=40_000)["mean"]
    half = scipy.stats.t.ppf(0.975, 19) * 100 * values.std(ddof=1) / math.sqrt(20)
    assert (low, high) == pytest.approx((100 * values.mean() - half, 100 * values.mean() + half), abs=0.4)


def test_percentiles_are_expanded_as_hesterberg_says():
    """From the draws themselves, where n is so small that both of his corrections show."""
    tally = mean_tally(np.random.default_rng(3).normal(0.5, 0.1, 6))
    drawn = resampled(tally.score, np.arange(6), 1000, 0)["mean"]
    outside = scipy.stats.norm.cdf(math.sqrt(6 / 5) * scipy.stats.t.ppf(0.025, 5))
    assert interval(tally)["mean"] == pytest.approx(np.quantile(drawn, [outside, 1 - outside]))
