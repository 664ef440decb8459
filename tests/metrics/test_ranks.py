"""Mean ranks over tasks and what tells them apart, against SciPy and by hand."""

import random

import pytest

from glue_harness.metrics.ranks import chi2_above, over_tasks, ranked


def test_ranks_begin_with_the_best_and_equals_share():
    assert ranked([70.0, 90.0, 80.0]) == [3.0, 1.0, 2.0]
    assert ranked([80.0, 90.0, 80.0, 70.0]) == [2.5, 1.0, 2.5, 4.0]


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 10])
@pytest.mark.parametrize("x", [0.0, 0.3, 2.0, 11.0, 60.0])
def test_the_tail_of_chi_square_is_scipys(x, df):
    stats = pytest.importorskip("scipy.stats")
    assert chi2_above(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_friedmans_test_is_scipys_also_with_ties(seed):
    stats = pytest.importorskip("scipy.stats")
    luck = random.Random(seed)
    scores = [[float(luck.randrange(4) + k * seed / 4) for _ in range(8)] for k in range(4)]
    assert over_tasks(scores).p == pytest.approx(stats.friedmanchisquare(*scores).pvalue, rel=1e-9)


def test_groups_are_those_that_no_pair_is_told_apart_in():
    n = 20
    best, same, far = [90.0 + k for k in range(n)], [90.1 + (-1) ** k * 0.2 + k for k in range(n)], [10.0] * n
    found = over_tasks([far, best, same])
    assert found.means == [3.0, 1.5, 1.5]
    assert found.groups == [[1, 2], [0]]


def test_groups_overlap_where_the_middle_differs_from_neither_end():
    scores = [[3.0] * 5, [2.0] * 5, [1.0] * 5]  # mean ranks 1, 2, 3: z is 1.58 between neighbours, 3.16 between ends
    found = over_tasks(scores)
    assert found.groups == [[0, 1], [1, 2]]


def test_nothing_is_told_apart_where_all_are_equal():
    found = over_tasks([[1.0, 2.0, 3.0]] * 3)
    assert (found.p, found.means, found.groups) == (1.0, [2.0, 2.0, 2.0], [[0, 1, 2]])
