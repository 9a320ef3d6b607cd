"""Axes have a few round ticks, labelled so that they can be told apart."""

import pytest

from cifar_tui.app.charts.axes import (
    evenly_spaced,
    linear_axis,
    log_axis,
    range_label,
    round_ticks,
    time_axis,
)


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        (73_828.1, 75_000, "73.8k–75k"),
        (390.6, 400, "391–400"),
        (999_960, 1_004_000, "1M–1.004M"),
        (996.1, 1_000, "996–1k"),
    ],
)
def test_a_range_has_as_many_digits_as_tell_its_ends_apart(first: float, last: float, label: str) -> None:
    assert range_label(first, last) == label


@pytest.mark.parametrize(("low", "high"), [(0, 25_000), (0.93, 2.41), (1e-9, 3e-9), (19_500, 20_000)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high, 5)
    assert 2 <= len(ticks) <= 6
    assert all(low <= tick * (1 + 1e-9) and tick <= high * (1 + 1e-9) for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "count", "labels"),
    [
        (10.3, 97.3, 4, ["20", "40", "60", "80"]),
        (0.0903, 0.119, 2, ["0.0903", "0.119"]),
        (0, 2.3, 5, ["0.0", "0.5", "1.0", "1.5", "2.0"]),
    ],
)
def test_a_linear_axis_has_two_ticks_at_least(low: float, high: float, count: int, labels: list[str]) -> None:
    assert linear_axis(low, high, count=count).labels == labels


@pytest.mark.parametrize(
    ("low", "high", "rows", "labels"),
    [
        (10.3, 78, 7, ["20", "60"]),
        (0, 60, 7, ["0", "20", "40", "60"]),
        (10.3, 97.3, 30, ["20", "30", "40", "50", "60", "70", "80", "90"]),
        (1.3, 2.25, 12, ["1.4", "1.6", "1.8", "2.0", "2.2"]),
        (0.3, 2.3, 8, ["0.5", "2.0"]),
        (0.0903, 0.119, 3, ["0.0903", "0.119"]),
    ],
)
def test_labels_are_evenly_spaced(low: float, high: float, rows: int, labels: list[str]) -> None:
    axis = linear_axis(low, high, count=max(2, rows // 2))
    assert evenly_spaced(axis, rows).labels == labels


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [(0.15, 2.3, ["0.2", "0.5", "1", "2"]), (0.12, 9, ["0.2", "1", "5"]), (0.9, 1.9, ["1", "1.5"])],
)
def test_a_low_log_axis_has_labels_between_powers_of_ten(low: float, high: float, labels: list[str]) -> None:
    assert log_axis(low, high, count=3).labels == labels


@pytest.mark.parametrize("count", [2, 3, 6, 20])
@pytest.mark.parametrize(("low", "high"), [(11, 115), (1.1, 1.9), (0.9, 2.4), (1e-6, 1e6), (0.02, 0.3)])
def test_a_log_axis_has_ticks_inside_at_any_height(low: float, high: float, count: int) -> None:
    axis = log_axis(low, high, count=count)
    assert 2 <= len(axis.ticks) <= max(6, 3 * count)
    assert all(axis.low - 1e-6 <= tick <= axis.high + 1e-6 for tick in axis.ticks)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 0.8, ["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]),
        (0, 25, ["0", "10 s", "20 s"]),
        (100, 260, ["2 m", "3 m", "4 m"]),
        (0, 400, ["0", "2 m", "4 m", "6 m"]),
        (0, 5400, ["0", "30 m", "1 h", "1 h 30 m"]),
        (0, 400_000, ["0", "48 h", "96 h"]),
    ],
)
def test_times_have_ticks_at_round_times(low: float, high: float, labels: list[str]) -> None:
    assert time_axis(low, high, count=4).labels == labels
