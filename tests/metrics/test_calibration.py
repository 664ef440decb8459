"""Shares of probability against how often such answers are right, worked by hand."""

import pytest

from glue_harness.metrics.calibration import Bin, expected_error, reliability


def test_bins_hold_means_and_leave_empty_ones_out():
    found = reliability([0.52, 0.58, 0.9, 1.0], [True, False, True, True])
    assert found == [Bin(pytest.approx(0.55), 0.5, 2), Bin(pytest.approx(0.95), 1.0, 2)]
    assert expected_error(found) == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)


def test_the_ends_have_a_place():
    assert reliability([0.0, 1.0], [False, True]) == [Bin(0.0, 0.0, 1), Bin(1.0, 1.0, 1)]
    assert expected_error(reliability([1.0, 1.0], [True, False])) == 0.5


def test_of_no_answers_nothing_is_known():
    assert reliability([], []) == []
    assert expected_error([]) is None
