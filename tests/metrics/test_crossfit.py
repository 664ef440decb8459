"""Scores without the luck of choosing their step: each half scored at the step that the other half chose."""

import json
import math

import numpy as np
import pytest

from glue_harness.core.task import Tally
from glue_harness.metrics.bootstrap import cluster_places
from glue_harness.metrics.crossfit import HALVINGS, halves, update, without_luck


def tally_of(right, clusters=None) -> Tally:
    column = np.array(right, float)
    return Tally(range(len(column)), lambda w: {"accuracy": 100 * (w @ column) / w.sum(1)}, clusters)


def kept_of(steps, clusters=None):
    """All evaluations, each taken after what is known went through JSON, as it does in a snapshot."""
    kept = None
    for right in steps:
        kept = json.loads(json.dumps(update(kept, {"task": [tally_of(right, clusters)]})))
    return kept


def test_halves_are_whole_clusters_and_complements():
    tally = tally_of(np.ones(10), [*np.arange(5).repeat(2)])
    found = halves(cluster_places(tally))
    assert found.shape == (2 * HALVINGS, 10)
    assert (found[:HALVINGS] + found[HALVINGS:] == 1).all()
    assert (found[:, ::2] == found[:, 1::2]).all()
    assert {*found[:HALVINGS].sum(axis=1)} == {4}
    assert len({half.tobytes() for half in found}) == 20  # 5 clusters have no more halves


def test_it_is_choosing_on_one_half_and_scoring_on_the_other():
    random = np.random.default_rng(0)
    steps = random.random((6, 41)) < 0.7
    weights = halves(np.arange(41))
    expected = []
    for half in range(2 * HALVINGS):
        other = (half + HALVINGS) % (2 * HALVINGS)
        here, there = (100 * steps @ weights[at] / weights[at].sum() for at in (half, other))
        expected.append(there[np.argmax(here)])  # of equals the earliest
    assert without_luck(kept_of(steps))["task"]["accuracy"] == pytest.approx(np.mean(expected))


def test_of_equal_evaluations_it_is_the_score_and_of_luck_it_is_less():
    right = np.random.default_rng(1).random(50) < 0.8
    assert without_luck(kept_of([right] * 3))["task"]["accuracy"] == pytest.approx(100 * right.mean())
    lucky = np.random.default_rng(2).random((20, 50)) < 0.8
    assert without_luck(kept_of(lucky))["task"]["accuracy"] < 100 * lucky.mean(axis=1).max() - 3


def test_a_group_is_chosen_by_the_mean_of_its_tasks():
    first, second = np.ones(40), np.zeros(40)

    def both(a, b):
        return {"a": [tally_of(a)], "b": [tally_of(b)]}

    kept = update(update(None, both(first, second)), both(0.5 * first, 0.6 + second))
    assert without_luck(kept) == {"a": {"accuracy": 50.0}, "b": {"accuracy": pytest.approx(60)}}


def test_an_undefined_score_is_never_chosen_over_a_defined_one():
    undefined = Tally(range(8), lambda w: {"accuracy": np.full(len(w), math.nan)})
    kept = update(None, {"task": [undefined]})
    assert without_luck(kept) == {"task": {"accuracy": None}}
    kept = json.loads(json.dumps(update(kept, {"task": [tally_of(np.ones(8))]})))
    assert without_luck(update(kept, {"task": [undefined]})) == {"task": {"accuracy": 100.0}}
