"""Performance profiles against their definition, and against their own bootstrap by hand."""

import numpy as np
import pytest

from glue_harness.metrics.profiles import profile

SCORES = [[50.0, 60.0, 70.0], [90.0, 80.0]]


def test_the_part_of_tasks_and_seeds_above_each_bound():
    found = profile(SCORES, [0, 55, 60, 75, 85, 100])
    assert found.parts == pytest.approx([1, (2 / 3 + 1) / 2, (1 / 3 + 1) / 2, 0.5, 0.25, 0])


def test_each_task_counts_as_much_however_many_seeds_it_has():
    assert profile([[1.0] * 9, [0.0]], [0.5]).parts == [0.5]


def test_it_never_rises_and_lies_in_its_interval():
    found = profile(SCORES, np.linspace(40, 100, 61))
    assert all(a >= b for a, b in zip(found.parts, found.parts[1:], strict=False))
    assert all(low <= part <= high for part, low, high in zip(*found, strict=True))
    assert found.low[0] == found.high[0] == 1


def test_intervals_are_those_of_drawing_seeds_anew():
    """Of two seeds of one task, one above the bound: a draw of two has none, one or both with 1/4, 1/2, 1/4."""
    found = profile([[0.0, 1.0]], [0.5])
    assert (found.parts, found.low, found.high) == ([0.5], [0.0], [1.0])
    wide = profile([[float(k % 2) for k in range(400)]], [0.5], draws=4000)
    assert (wide.high[0] - wide.low[0]) / 2 == pytest.approx(1.96 * 0.5 / 20, rel=0.1)


def test_without_a_second_seed_there_is_no_interval():
    assert profile([[1.0], [2.0]], [1.5]) == ([0.5], None, None)
