"""`Series` and `decimate`: bounded, and the spikes stay."""

import math

from cifar_tui.runs.series import Series, decimate


def test_a_short_series_is_kept_as_it_is():
    series = Series(capacity=8)
    for x in range(5):
        series.append(x, -x)
    assert series.points() == tuple((x, -x) for x in range(5))


def test_a_long_series_stays_bounded_and_in_order():
    series = Series(capacity=64)
    for x in range(100_000):
        series.append(x, math.sin(x))
    points = series.points()
    assert len(points) <= 64
    assert points == tuple(sorted(points))
    assert points[-1] == (99_999, math.sin(99_999))


def test_single_spikes_survive_any_length():
    series = Series(capacity=64)
    for x in range(50_000):
        series.append(x, {1234: 99.0, 30_000: -99.0}.get(x, 1.0 + x % 7))
    assert (1234, 99.0) in series.points()
    assert (30_000, -99.0) in series.points()


def test_values_that_are_not_finite_are_left_out():
    series = Series()
    for y in (1.0, math.nan, math.inf, -math.inf, 2.0):
        series.append(0.0, y)
    assert [y for _, y in series.points()] == [1.0, 2.0]


def test_decimation_keeps_the_lowest_and_the_highest_of_each_bucket():
    points = [(float(x), y) for x, y in enumerate([3.0, 1.0, 2.0, 9.0, 5.0, 5.0, 4.0, 6.0])]
    assert decimate(points, 4) == [(1.0, 1.0), (3.0, 9.0), (6.0, 4.0), (7.0, 6.0)]
    assert decimate(points, 8) == points
