"""Curves of several runs on the same axes, each told from the others without colour."""

import itertools
import math
from typing import Any

import pytest

from cifar_tui.app.charts.frame import DASHES, LINE, ChartOptions
from cifar_tui.app.charts.overlay import (
    MARKS,
    METRICS,
    MOST_RUNS,
    RunLines,
    common_unit,
    converted,
    extent,
    overlay_chart,
    step_of,
)
from cifar_tui.app.charts.palette import ANY_BACKGROUND
from cifar_tui.app.charts.view import MAX_ZOOM, ChartView, XUnit, panned, steps_shown, zoomed
from cifar_tui.runs.curves import Curves

SIZE = {"width": 57, "height": 15}


def run(
    place: int, *, points: int = 200, length: int = 500, height: float = 1.0, pace: float = 100.0
) -> RunLines:
    """A run of `points` points, one every 10 steps, of which `pace` take a second."""
    steps = [10 * (n + 1) for n in range(points)]
    curves = Curves(
        loss=[(step, height + math.exp(-step / 500)) for step in steps],
        train_accuracy=[(step, 0.1 * height) for step in steps],
        test_accuracy=[(step, 0.1 * height) for step in steps[49::50]],
        learning_rate=[(step, 0.001) for step in steps],
        train_seconds=[(step, step / pace) for step in steps],
        steps_per_epoch=length,
    )
    return RunLines(place=place, curves=curves)


def drawn(runs: list[RunLines], metric: str = "loss", **options: Any) -> list[str]:
    view = options.pop("view", ChartView())
    values: dict[str, Any] = {"palette": ANY_BACKGROUND, "view": view, **SIZE, **options}
    shown = steps_shown(extent(runs, view.unit), view)
    drawing = overlay_chart(runs, METRICS[metric], shown, ChartOptions(**values))
    return [line.text for line in drawing.lines]


def plot(rows: list[str]) -> list[str]:
    return [row.split("┤")[-1].split("│")[-1] for row in rows[1:-2]]


@pytest.mark.parametrize("metric", METRICS)
def test_each_of_eight_runs_has_its_own_mark_on_every_chart(metric: str) -> None:
    runs = [run(place, height=1 + place) for place in range(MOST_RUNS)]
    rows = drawn(runs, metric)
    text = "".join(plot(rows))
    found = {mark: text.count(mark) for mark in MARKS}
    if metric == "rate":  # they are all on the same line
        assert sum(found.values()) >= MOST_RUNS
    assert all(found[mark] >= 2 for mark in MARKS), found
    assert [len(row) for row in rows] == [57] * 15


def test_runs_on_the_same_curve_are_told_apart_by_where_their_marks_are() -> None:
    text = "".join(plot(drawn([run(place) for place in range(6)])))
    assert all(text.count(mark) >= 2 for mark in MARKS[:6])
    assert not any(mark in text for mark in MARKS[6:])


def test_neighbours_differ_in_their_line_as_well() -> None:
    solid, dashed = (plot(drawn([run(place)], "rate", width=120)) for place in (0, 1))
    row = next(row for row in solid if MARKS[0] in row)
    assert " " not in row.strip()
    row = next(row for row in dashed if MARKS[1] in row)
    assert row.strip().count(" ") > 30
    assert (run(0).line, run(1).line) == (LINE, DASHES)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("points", [0, 1, 2, 500])
def test_a_chart_has_exactly_the_size_asked_for(metric: str, points: int) -> None:
    runs = [run(0, points=points), run(3, points=max(0, points - 1))]
    for width, height in ((20, 5), (37, 9), (88, 15), (8, 3), (1, 1)):
        rows = drawn(runs, metric, width=width, height=height)
        assert [len(row) for row in rows] == [width] * height


def test_a_single_point_is_a_mark_and_none_are_waited_for() -> None:
    assert MARKS[2] in "".join(plot(drawn([run(2, points=1)])))
    assert any("Waiting for data" in row for row in drawn([run(0, points=0), run(1, points=0)]))
    assert any("Waiting for data" in row for row in drawn([]))


def test_a_million_points_are_drawn() -> None:
    loss = list(zip(range(1_000_000), itertools.cycle(range(997))))
    text = "".join(plot(drawn([RunLines(place=0, curves=Curves(loss=loss)), run(1)])))
    assert MARKS[0] in text
    assert MARKS[1] in text


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("log_scale", [False, True])
def test_values_that_are_not_finite_are_left_out(bad: float, log_scale: bool) -> None:
    good = run(0)
    spoilt = Curves(loss=[*good.curves.loss[:100], (1005, bad), *good.curves.loss[100:]], steps_per_epoch=500)
    only_bad = RunLines(place=1, curves=Curves(loss=[(10, bad), (2000, bad)], steps_per_epoch=500))
    options: dict[str, Any] = {"smoothing": 0.0, "log_scale": log_scale}
    assert drawn([RunLines(place=0, curves=spoilt), only_bad], **options) == drawn([good], **options)
    assert any("Waiting for data" in row for row in drawn([only_bad]))


@pytest.mark.parametrize("value", [0.0, 1e-12, 2.5, 1e30, 1e300])
@pytest.mark.parametrize("log_scale", [False, True])
def test_curves_that_do_not_move_are_drawn(value: float, log_scale: bool) -> None:
    runs = [
        RunLines(place=place, curves=Curves(loss=[(1, value), (2, value)], learning_rate=[(1, value)]))
        for place in range(2)
    ]
    for metric in ("loss", "rate"):
        assert len(drawn(runs, metric, log_scale=log_scale)) == 15


def test_a_log_scale_leaves_out_what_is_not_above_zero() -> None:
    negative = RunLines(place=0, curves=Curves(loss=[(1, -1.0), (2, 0.0)]))
    assert any("No positive loss" in row for row in drawn([negative], log_scale=True))
    assert drawn([negative, run(1)], log_scale=True)[0].strip().startswith("Loss, log")


def test_the_line_goes_on_beyond_both_edges_of_a_close_zoom() -> None:
    sparse = RunLines(place=0, curves=Curves(loss=[(0, 2.0), (1000, 1.0)], steps_per_epoch=100))
    rows = plot(drawn([sparse], view=ChartView(window=(400, 600)), smoothing=0.0))
    columns = list(zip(*rows, strict=True))
    assert any(cell.strip() for cell in columns[0])
    assert any(cell.strip() for cell in columns[-1])
    late = RunLines(place=0, curves=Curves(loss=sparse.curves.loss, test_accuracy=[(900, 0.5)]))
    assert any("Nothing here" in row for row in drawn([late], "test", view=ChartView(window=(400, 600))))


def test_the_x_axis_counts_what_all_runs_know() -> None:
    one, other = run(0), run(1, length=100, pace=50)
    assert common_unit([one, other], XUnit.EPOCH) is XUnit.EPOCH
    untimed = RunLines(place=2, curves=Curves(loss=[(1, 1.0), (2, 1.0)]))
    assert common_unit([one, untimed], XUnit.EPOCH) is XUnit.STEP
    assert common_unit([one, untimed], XUnit.TIME) is XUnit.STEP
    assert common_unit([one, RunLines(place=2, curves=Curves())], XUnit.TIME) is XUnit.TIME
    for unit, last in ((XUnit.STEP, 2000), (XUnit.EPOCH, 20), (XUnit.TIME, 40)):
        assert steps_shown(extent([one, other], unit), ChartView(unit=unit))[1] == pytest.approx(last)
        assert unit.value in drawn([one, other], view=ChartView(unit=unit))[-1]


def test_places_on_the_axis_are_steps_of_each_run() -> None:
    one, other = run(0).curves, run(1, length=100, pace=50).curves
    assert [step_of(curves, XUnit.EPOCH, 2) for curves in (one, other)] == [1000, 200]
    assert [step_of(curves, XUnit.TIME, 10) for curves in (one, other)] == pytest.approx([1000, 500])
    assert [step_of(curves, XUnit.EPOCH, 5) for curves in (one, other)] == [None, 500], "one has ended"
    assert step_of(one, XUnit.TIME, 21) is None
    assert step_of(Curves(), XUnit.STEP, 5) is None
    later = Curves(loss=[(500, 1.0), (600, 1.0)], steps_per_epoch=100)
    assert [step_of(later, XUnit.EPOCH, epoch) for epoch in (4, 5, 6, 7)] == [None, 500, 600, None]


def test_another_unit_keeps_the_window_and_the_cursor_on_the_same_steps() -> None:
    view = ChartView(unit=XUnit.EPOCH, window=(1.0, 2.0), cursor=1.5)
    found = converted(view, run(0), (XUnit.EPOCH, XUnit.TIME))
    assert found.unit is XUnit.TIME
    assert found.window == pytest.approx((5, 10))
    assert found.cursor == pytest.approx(7.5)


@pytest.mark.parametrize("unit", XUnit)
def test_zooming_and_panning_work_in_any_unit(unit: XUnit) -> None:
    runs = [run(0), run(1, points=100, length=100)]
    view = ChartView(unit=unit)
    for _ in range(MAX_ZOOM + 1):
        view = zoomed(extent(runs, unit), view, 1)
    view = panned(extent(runs, unit), view, -1)
    low, high = steps_shown(extent(runs, unit), view)
    whole = steps_shown(extent(runs, unit), ChartView(unit=unit))
    assert whole[0] < low < high < whole[1]
    assert any(mark in "".join(plot(drawn(runs, view=view))) for mark in MARKS[:2])


def test_the_legend_has_the_latest_values_of_all_runs_or_of_none() -> None:
    runs = [run(place, height=1 + place) for place in range(4)]
    assert drawn(runs, "test", width=80)[0].split() == [
        *("Test", "accuracy", "(%)"),
        *(part for place in range(4) for part in (MARKS[place], f"{10 * (1 + place):.1f}")),
    ]
    assert drawn(runs, "test", width=40)[0].strip() == "Test accuracy (%)"
