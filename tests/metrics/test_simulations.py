"""The simulations of docs/statistics.md in small: error rates within what so few repetitions allow."""

import sys
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "simulations"))
import differences
import intervals
import selection
from worlds import CB, COLA, MNLI, MULTIRC, RTE, WSC

SMALL = [replace(MNLI, n=1000, draws=200), replace(RTE, draws=200), replace(COLA, n=300, draws=200)]
SMALL += [replace(MULTIRC, draws=200), replace(WSC, draws=200)]


def near(share: float, wanted: float, times: int) -> bool:
    """Within 3.3 standard errors of the simulation and 3 points beside, which docs/statistics.md reports."""
    return abs(share - wanted) < 0.03 + 3.3 * sqrt(wanted * (1 - wanted) / times)


@pytest.mark.parametrize("world", SMALL, ids=lambda world: world.name)
@pytest.mark.parametrize("seeds", [(2, 2), (3, 3)])
def test_recipes_that_do_not_differ_are_seldom_found_to(world, seeds):
    assert near(differences.errors(world, seeds, 80) / 80, 0.05, 80)


def test_one_seed_judged_as_a_recipe_errs_and_borrowed_luck_does_not():
    world = replace(RTE, luck=2.5, draws=200)
    judged, lucky, models = differences.one_seed(world, 120, differences.spread_of(world, 30))
    assert judged > 120 * 0.25
    assert near(lucky / 120, 0.05, 120)
    assert near(models / 120, 0.05, 120)


@pytest.mark.parametrize("world", [RTE, COLA, MULTIRC, WSC, CB, *intervals.WORLDS[-6:-2]], ids=lambda world: world.name)
def test_intervals_hold_the_truth(world):
    assert near(intervals.held(replace(world, draws=300), 150) / 150, 0.95, 150)


def test_clusters_that_are_not_named_are_why():
    aware = replace(MULTIRC, draws=300)
    assert near(intervals.held(aware, 100) / 100, 0.95, 100)
    assert intervals.held(replace(aware, named=False), 100) < 88


def test_choosing_adds_luck_and_crossfitting_takes_it_off():
    shown, honest = selection.biases(selection.WORLDS[1], "flat", 60)
    assert shown > 1.5
    assert abs(honest) < 1.2
