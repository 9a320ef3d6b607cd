"""Spreads, limits and tables."""

import pytest

from cifar_tui.bench.report import Figure, Spread, print_figures, spread


def row_of(capsys, **values):
    """The row that a figure is printed as."""
    print_figures("title", [Figure(quantity="speed", **values)])
    return capsys.readouterr().out.splitlines()[2].split()


def test_a_spread_is_of_what_was_taken():
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(
        median=2.5,
        minimum=1.0,
        maximum=10.0,
        mean=4.0,
        standard_deviation=pytest.approx(4.0825, abs=1e-4),
        n=4,
    )
    assert spread([3.0]).standard_deviation == 0


@pytest.mark.parametrize(
    ("limits", "met"),
    [
        ({}, True),
        ({"at_most": 2.0}, True),
        ({"at_most": 1.9}, False),
        ({"at_least": 2.0}, True),
        ({"at_least": 2.1}, False),
        ({"at_least": 1.0, "at_most": 3.0}, True),
        ({"at_least": 2.1, "at_most": 3.0}, False),
    ],
)
def test_a_median_is_held_to_its_limits(limits, met):
    assert Figure(quantity="speed", spread=spread([1.0, 2.0, 9.0]), **limits).met is met


def test_a_row_says_what_the_limit_is(capsys):
    taken = spread([1.0, 2.0, 9.0])
    assert row_of(capsys, spread=taken) == ["speed", "2.00", "1.00–9.00", "3"]
    assert row_of(capsys, spread=taken, unit="s", at_most=3.0)[-4:] == ["≤", "3.00", "s", "✓"]
    assert row_of(capsys, spread=taken, unit="s", at_least=3.0)[-4:] == ["≥", "3.00", "s", "✗"]


def test_a_row_may_show_the_mean_and_the_standard_deviation(capsys):
    row = row_of(capsys, spread=spread([1.0, 2.0, 9.0]), by_mean=True)
    assert row == ["speed", "4.00", "mean", "±", "4.36", "3"]
