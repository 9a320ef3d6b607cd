"""The chart of a range test: a logarithmic axis of rates, the suggestion on it, and what is cut."""

import itertools
import math

import pytest

from cifar_tui.app.charts.frame import ChartOptions
from cifar_tui.app.charts.lr_curve import lr_chart
from cifar_tui.app.charts.palette import ANY_BACKGROUND
from cifar_tui.engine.optim.lr_range import LrRange, LrSuggestion, RangePoint, SmoothedLoss

RANGE = LrRange(steps=200)
SUGGESTION = LrSuggestion(learning_rate=0.001, minimum=0.1, still_falling=False)


def points_of(loss_at, count=200):
    smoothed = SmoothedLoss(RANGE.steps)
    points = []
    for step in range(count):
        rate = RANGE.rate(step)
        loss = loss_at(math.log10(rate))
        mean = smoothed.add(loss)
        points.append(RangePoint(step=step + 1, learning_rate=rate, loss=loss, smoothed=mean))
    return points


def valley(log):
    return 2.3 - 1 / (1 + 10 ** (-2 * (log + 3))) + 10 ** (2 * log)


def drawn(points, suggestion=None, *, width=80, height=20):
    options = ChartOptions(width=width, height=height, palette=ANY_BACKGROUND)
    drawing = lr_chart(points, suggestion, RANGE, options)
    assert all(line.cell_length == width for line in drawing.lines)
    assert len(drawing.lines) == height
    return [line.text for line in drawing.lines]


def test_the_axis_has_powers_of_ten_at_equal_distances():
    labels = drawn(points_of(valley))[-1]
    powers = ["1e-06", "1e-05", "0.0001", "0.001", "0.01", "0.1"]
    centres = [labels.index(label) + len(label) // 2 for label in powers if f" {label} " in f" {labels} "]
    gaps = [after - before for before, after in itertools.pairwise(centres)]
    assert len(gaps) >= 2
    assert max(gaps) - min(gaps) <= 1 + len(gaps)
    assert labels.endswith("learning rate")


def test_the_suggestion_is_marked_on_the_curve_the_axis_and_in_the_legend():
    legend, *rows, axis, _ = drawn(points_of(valley), SUGGESTION)
    assert "◆ suggested 0.001" in legend
    assert "◇ least 0.1" in legend
    assert sum(row.count("◆") for row in rows) == 1
    place = next(row.index("◆") for row in rows if "◆" in row)
    assert axis.index("▲") == place, "a sign of its own, without colour"
    plot = axis.index("└") + 1
    share = (place - plot) / (len(axis) - plot - 1)
    assert share == pytest.approx(3 / 7, abs=0.02), "0.001 lies three of seven powers from the left"
    assert "◆" not in "".join(drawn(points_of(valley)))


def test_a_loss_that_diverges_does_not_flatten_the_part_that_falls():
    rows = drawn(points_of(lambda log: valley(log) + (1e6 if log > 0.5 else 0)), SUGGESTION)
    labels = [float(row.split("┤")[0]) for row in rows if "┤" in row]
    assert max(labels) < 3
    assert min(labels) < 1.6


def test_a_loss_that_is_not_finite_is_left_out():
    points = [
        *points_of(valley, 100),
        RangePoint(step=101, learning_rate=0.1, loss=math.nan, smoothed=math.nan),
    ]
    assert drawn(points) != drawn([])
    points[-1] = RangePoint(step=101, learning_rate=0.1, loss=math.inf, smoothed=math.inf)
    assert drawn(points)[:-2] == drawn(points[:-1])[:-2]


@pytest.mark.parametrize("points", [[], points_of(valley, 1)])
def test_without_a_curve_it_says_so(points):
    assert "Waiting for data" in "".join(drawn(points))


@pytest.mark.parametrize(("width", "height"), [(0, 0), (10, 3), (56, 9), (108, 26)])
def test_it_fits_every_size(width, height):
    drawn(points_of(valley), SUGGESTION, width=width, height=height)


def test_a_flat_loss_is_drawn():
    assert "smoothed 2.300" in drawn(points_of(lambda _: 2.3))[0]
