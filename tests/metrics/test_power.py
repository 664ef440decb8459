"""What seeds can find, by its formulas and by SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from glue_harness.metrics.power import Spread, borrowed_luck, least_between_models, least_between_recipes
from glue_harness.report.spread import SEEDS, findable, published_spread
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()


def test_recipes_need_the_mde_of_the_t_test():
    spread, n, churn = Spread(1.4, 9, "T5"), 277, 0.08
    known = spread._replace(churn=100**2 * churn / (2 * n))
    own = max(0, 1.4**2 - 100**2 * churn / (2 * n))
    for k in SEEDS:
        t = scipy.stats.t.ppf([0.975, 0.8], 2 * k - 2).sum()
        assert least_between_recipes(spread, k) == pytest.approx(t * math.sqrt(2 * 1.4**2 / k))
        expected = t * math.sqrt(2 * (own + 100**2 * churn / (2 * n)) / k)
        assert least_between_recipes(known, k) == pytest.approx(expected)
    noisy = spread._replace(churn=9.0)  # the examples' part is more than all that was seen
    assert (noisy.own, least_between_recipes(noisy, 5) > least_between_recipes(spread, 5)) == (0, True)


def test_models_need_their_churn():
    z = scipy.stats.norm.ppf([0.975, 0.8]).sum()
    assert least_between_models(Spread(1.0, 9, "T5", churn=0.3)) == pytest.approx(z * math.sqrt(2 * 0.3))
    assert least_between_models(Spread(1.0, 9, "T5")) == pytest.approx(z * math.sqrt(2))  # at most


def test_borrowed_luck_widens_the_error_of_one_seed():
    assert borrowed_luck(3.0, 1.0, Spread(2.0, 9, "T5", churn=0.5))[0] == pytest.approx(3 / math.sqrt(1 + 2 * 3.5))
    assert borrowed_luck(3.0, 1.0, Spread(2.0, 9, "T5"))[0] == pytest.approx(3 / math.sqrt(2 * 4))
    z, df = borrowed_luck(3.0, 1.0, Spread(0.1, 9, "T5"))  # seeds differ by less than examples explain
    assert (z, df) == (3, math.inf)
    assert borrowed_luck(3.0, 0.0, Spread(2.0, 9, "T5"))[1] == pytest.approx(9)
    assert math.isnan(borrowed_luck(0.0, 0.0, Spread(0.0, 9, "T5"))[0])


def test_the_published_spread_is_that_of_ten_runs():
    assert published_spread("rte", "accuracy", REGISTRY)[:2] == (1.393, 9)
    assert published_spread("mnli_mismatched", "accuracy", REGISTRY).sd == 0.231
    assert published_spread("wsc_eval", "accuracy", REGISTRY).sd == 2.029
    assert published_spread("wnli", "accuracy", REGISTRY) is None


def test_every_value_of_table_16_can_be_looked_up_and_demo_data_has_none():
    found = {one.name: one for one in findable([*REGISTRY.tasks], [], None, REGISTRY, is_demo=False)}
    assert len(found) == 31
    assert found["rte.accuracy"].recipes.keys() == {*range(2, 11)}
    assert np.all(np.diff([*found["cola.matthews_corrcoef"].recipes.values()]) < 0)
    assert findable([*REGISTRY.tasks], [], None, REGISTRY, is_demo=True) == []
