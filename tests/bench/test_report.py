"""Measurements, their limits, and the table."""

import pytest

from cifar_tui.bench.report import Measurement, Report


def row_of(**values):
    """The cells of a measurement in the table."""
    report = Report(title="title", rows=(Measurement(name="speed", **values),))
    return report.to_text(terminal=False).splitlines()[2].split()


def test_json_has_the_distribution():
    row = Measurement(name="speed", values=(3.0, 1.0, 2.0, 10.0), unit="s", at_most=5.0).to_dict()
    assert row == {
        "name": "speed", "unit": "s", "median": 2.5, "min": 1.0, "max": 10.0, "mean": 4.0,
        "stdev": pytest.approx(4.0825, abs=1e-4), "n": 4, "at_least": None, "at_most": 5.0, "met": True,
    }  # fmt: skip
    assert Measurement(name="speed", values=(3.0,)).to_dict()["stdev"] == 0


@pytest.mark.parametrize(
    ("limits", "met"),
    [
        ({}, True),
        ({"at_most": 2.0}, True),
        ({"at_most": 1.9}, False),
        ({"at_least": 2.0}, True),
        ({"at_least": 2.1}, False),
        ({"at_least": 2.1, "at_most": 3.0}, False),
    ],
)
def test_limits_apply_to_the_median(limits, met):
    row = Measurement(name="speed", values=(1.0, 2.0, 9.0), **limits)
    other = Measurement(name="other", values=(1.0,))
    assert row.met is met
    assert Report(title="", rows=(other, row)).met is met


def test_table_shows_median_range_limit_and_verdict():
    values = (1.0, 2.0, 9.0)
    assert row_of(values=values) == ["speed", "2.00", "1.00–9.00", "3"]
    assert row_of(values=values, unit="s", at_most=3.0)[-3:] == ["≤", "3.00", "✓"]
    assert row_of(values=values, unit="s", at_least=3.0)[-3:] == ["≥", "3.00", "✗"]
    assert row_of(values=(1234.5,), digits=0, unit="s") == ["speed", "1,234", "s", "1"]
