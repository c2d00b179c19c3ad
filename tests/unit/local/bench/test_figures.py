"""Percentiles, medians with their range, ratios round by round, and what a goal says."""

import math

import pytest

from regiohub_local.bench.figures import ALONE, GROWTH, Told, percentile, ratios, told


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share, value):
    assert percentile(list(range(100, 0, -1)), share) == value


def test_of_few_values_the_p99_is_the_largest():
    assert percentile([3.0, 9.0, 1.0], 0.99) == 9.0


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_rounds_are_told_by_their_median_and_range():
    assert told([5, 1, 2]) == Told(2, 1, 5)


def test_each_round_is_divided_by_its_own_whole():
    assert ratios([10, 40], [100, 100]) == [0.1, 0.4]
    with pytest.raises(ValueError, match="zip"):
        ratios([1], [1, 2])


def test_goals_have_their_edge_inside():
    assert ALONE.is_met(0.20)
    assert not ALONE.is_met(0.1999)
    assert GROWTH.is_met(1.3)
    assert not GROWTH.is_met(1.31)
    assert not GROWTH.is_met(math.inf)
