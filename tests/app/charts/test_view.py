"""Zooming, panning and the cursor choose the steps that the charts show."""

import pytest

from cifar_tui.app.charts.view import (
    MAX_ZOOM,
    ChartView,
    XUnit,
    moved,
    panned,
    pointed,
    step_at,
    steps_shown,
    zoomed,
)
from cifar_tui.runs.curves import Curves

LOSS = [(float(step), 1.0) for step in range(10, 1001, 10)]
CURVES = Curves(loss=LOSS, train_seconds=[(500.0, 10.0), (1000.0, 40.0)], steps_per_epoch=100)
LONGER = Curves(loss=[*LOSS, (2000.0, 1.0)])


def test_zoom_follows_the_latest_steps() -> None:
    view = zoomed(CURVES, zoomed(CURVES, ChartView(), 1), 1)
    assert steps_shown(CURVES, view) == (750, 1000)
    assert steps_shown(LONGER, view) == (1500, 2000)
    for _ in range(20):
        view = zoomed(CURVES, view, -1)
    assert steps_shown(CURVES, view) == (0, 1000)


def test_panned_charts_stay_where_they_are_until_they_reach_the_latest_step() -> None:
    view = panned(CURVES, ChartView(zoom=2), -1)
    assert steps_shown(CURVES, view) == steps_shown(LONGER, view) == (687.5, 937.5)
    for _ in range(20):
        view = panned(CURVES, view, -1)
    assert steps_shown(CURVES, view) == (0, 250)
    for _ in range(20):
        view = panned(CURVES, view, 1)
    assert view == ChartView(zoom=2)
    assert panned(CURVES, ChartView(), -1) == ChartView(), "everything is shown"


def test_zoom_keeps_the_middle_or_the_cursor_where_it_is() -> None:
    view = zoomed(CURVES, ChartView(zoom=1, window=(200, 700)), 1)
    assert steps_shown(CURVES, view) == (325, 575)
    view = zoomed(CURVES, ChartView(cursor=200), 1)
    assert steps_shown(CURVES, view) == (100, 600)
    assert steps_shown(CURVES, zoomed(CURVES, view, -1)) == (0, 1000)
    for _ in range(20):
        view = zoomed(CURVES, view, 1)
    low, high = steps_shown(CURVES, view)
    assert low <= 200 <= high
    assert high - low == pytest.approx(1000 / 2**MAX_ZOOM)


def test_the_cursor_is_on_a_point_and_moves_by_columns_but_at_least_to_the_next_point() -> None:
    view = pointed(CURVES, ChartView(), 503)
    assert view.cursor == 500
    assert moved(CURVES, view, 0.05).cursor == 550
    assert moved(CURVES, view, 0.001).cursor == 510
    assert moved(CURVES, view, -0.001).cursor == 490
    assert moved(CURVES, pointed(CURVES, view, 1000), 0.01).cursor == 1000
    assert pointed(Curves(), ChartView(), 5).cursor is None


def test_the_charts_follow_the_cursor_out_of_sight() -> None:
    view = pointed(CURVES, ChartView(zoom=2), 750)
    view = moved(CURVES, view, -0.2)
    assert view.cursor == 700
    assert steps_shown(CURVES, view) == (700, 950)


def test_panning_takes_the_cursor_along() -> None:
    view = panned(CURVES, ChartView(zoom=1, cursor=900), -1)
    assert view.cursor == 870, "the last point of 375 to 875"
    view = panned(CURVES, view, -1)
    assert view.cursor == 750
    view = panned(CURVES, view, 1)
    assert view.cursor == 750, "it is shown"
    assert panned(CURVES, ChartView(window=(15, 19), cursor=20), -1).cursor == 10


def test_what_a_resume_took_back_is_not_shown() -> None:
    assert steps_shown(CURVES, ChartView(window=(1200, 1400))) == (0, 1000)


def test_the_mouse_points_to_a_step_on_any_axis() -> None:
    assert step_at(CURVES, ChartView(zoom=1), 0.5) == 750
    assert step_at(CURVES, ChartView(unit=XUnit.EPOCH), 0.25) == 250
    assert step_at(CURVES, ChartView(unit=XUnit.TIME), 0.25) == 500, "10 of 40 s"
