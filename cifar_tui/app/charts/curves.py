"""Charts of the loss, the accuracy and the learning rate over a run: plain data and a size in, lines out.

NumPy is imported lazily to keep startup fast.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cifar_tui.app.charts.axes import Axis, linear_axis, log_axis, padded
from cifar_tui.app.charts.frame import (
    DIAMOND,
    DOTS,
    LINE,
    OPEN_DIAMOND,
    ChartOptions,
    Curve,
    Drawing,
    LegendEntry,
    XRange,
    epoch_ends,
    framed,
    placeholder,
    plot_columns,
    tick_count,
)
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.view import steps_shown, unit_of, x_of_steps
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.format import loss_figure, rate_figure
from cifar_tui.runs.series import smoothed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.app.charts.canvas import Numbers
    from cifar_tui.app.charts.frame import Points

_TRAINED = ("training", "train", "")
SMOOTHING_LEVELS = (0.0, 0.02, 0.05, 0.2)
"""Widths of the mean's window that a key cycles through, in shares of the points shown; 0 draws no mean."""


def loss_chart(curves: Curves, options: ChartOptions) -> Drawing:
    """Draw the training loss and its moving mean; exactly `options.width` × `options.height` cells."""
    palette, title = options.palette, "Loss, log" if options.log_scale else "Loss"
    steps, losses = points = finite(curves.loss)
    if options.log_scale:
        points = steps[losses > 0], losses[losses > 0]
        if len(steps) and not len(points[0]):
            return placeholder(title, "No positive loss to plot on a log scale (press l for linear)", options)
    if len(points[0]) < 2:
        return placeholder(title, _single_point(points, "loss {:.3f}"), options)
    drawn = _training_curves(points, curves, palette.loss, palette.loss_raw, options)
    raw = LegendEntry(drawn[0], ("raw", "raw", ""), loss_figure(float(points[1][-1])))
    legend = [raw]
    if len(drawn) > 1:
        window = f"{100 * options.smoothing:g} %"
        legend.append(LegendEntry(drawn[1], (f"smoothed, {window} window", f"smoothed {window}")))
    make_axis = log_axis if options.log_scale else linear_axis
    y_axis = make_axis(*padded(*_value_range(drawn[:1], curves, options)), count=tick_count(options))
    return _chart(title, drawn, legend, curves, y_axis, options)


def accuracy_chart(curves: Curves, options: ChartOptions) -> Drawing:
    """Draw the training accuracy in per cent, and a mark for each evaluation on the test set."""
    palette, title = options.palette, "Accuracy (%)"
    training, tests = percent(curves.train_accuracy), percent(curves.test_accuracy)
    margin, so_far = _so_far(curves, palette)
    if len(training[0]) + len(tests[0]) < 2:
        single = training if len(training[0]) else tests
        return placeholder(title, _single_point(single, "accuracy {:.1f} %"), options)
    trained = _training_curves(training, curves, palette.training, palette.training_raw, options)
    marks = Curve(tests, palette.test, DIAMOND)
    legend = [
        LegendEntry(curve, names, f"{curve.points[1][-1]:.1f} %")
        for curve, names in (
            (trained[-1], ("training, mixed images", "train, mixed", "mixed") if curves.mixed else _TRAINED),
            (marks, ("test", "test", "")),
            (so_far, ("test so far", "so far")),
        )
        if len(curve.points[0])
    ]
    low, high = padded(*_value_range([trained[0], marks, margin, so_far], curves, options))
    y_axis = linear_axis(max(0.0, low), min(100.0, high), count=tick_count(options))
    lines = [_growing_line(curves, palette, y_axis.low), *_test_line(tests, curves, palette, options)]
    drawn = [*trained, *lines, marks, margin, so_far]
    return _chart(title, drawn, legend, curves, y_axis, options)


def _test_line(tests: "Points", curves: Curves, palette: Palette, options: ChartOptions) -> list[Curve]:
    """Return a line through the evaluations, which shows what the marks, on whole rows, do not."""
    several = _inside(tests[0], curves, options).sum() > 1
    return [Curve(tests, palette.test, LINE)] if several else []


def _so_far(curves: Curves, palette: Palette) -> tuple[Curve, Curve]:
    """Return an unfinished evaluation: its margin as a line, and its mark; empty without one."""
    now = curves.test_so_far
    bounds = [(now.step, now.accuracy - now.margin), (now.step, now.accuracy + now.margin)] if now else []
    mark = [(now.step, now.accuracy)] if now else []
    return Curve(percent(bounds), palette.test, LINE), Curve(percent(mark), palette.test, OPEN_DIAMOND)


def _growing_line(curves: Curves, palette: Palette, low: float) -> Curve:
    """Return a line that grows from `low` to the mark of an unfinished evaluation; empty without one."""
    now = curves.test_so_far
    top = low + now.share * (100 * now.accuracy - low) if now else low
    steps, values = finite([(now.step, low), (now.step, top)] if now else [])
    return Curve((steps, values), palette.test, LINE)


def rate_chart(curves: Curves, options: ChartOptions) -> Drawing:
    """Draw the learning rate."""
    points = finite(curves.learning_rate)
    if len(points[0]) < 2:
        return placeholder("Learning rate", _single_point(points, "{:.3g}"), options)
    curve = Curve(points, options.palette.rate, LINE)
    legend = [LegendEntry(curve, ("latest", ""), rate_figure(float(points[1][-1])))]
    least, greatest = _value_range([curve], curves, options)
    low, high = padded(least, greatest)
    y_axis = linear_axis(low, high, count=tick_count(options), label=rate_figure)
    if low < least:  # a constant rate needs no other label
        y_axis = Axis(low=low, high=high, ticks=[least], labels=[rate_figure(least)])
    return _chart("Learning rate", [curve], legend, curves, y_axis, options)


def _training_curves(
    points: "Points", curves: Curves, colour: str, faint: str, options: ChartOptions
) -> list[Curve]:
    """Return the points shown: faint dots and a line of their moving mean, or a line through them."""
    steps, values = points
    inside = _inside(steps, curves, options)
    if not options.smoothing or not inside.any():
        return [Curve(points, colour, LINE)]
    steps, values = steps[inside], values[inside]
    mean = Curve((steps, smoothed(values, options.smoothing)), colour, LINE)
    return [Curve((steps, values), faint, DOTS), mean]


def finite(points: Sequence[tuple[float, float]]) -> "Points":
    """Return the points, as steps and values, without those that are not finite."""
    import numpy as np

    steps, values = np.array(points, np.float64).reshape(-1, 2).T
    finite = np.isfinite(steps) & np.isfinite(values)
    return steps[finite], values[finite]


def percent(points: Sequence[tuple[float, float]]) -> "Points":
    """Return the steps and per cents of points whose values are from 0 to 1."""
    steps, shares = finite(points)
    return steps, 100 * shares


def _inside(steps: "Numbers", curves: Curves, options: ChartOptions) -> "NDArray[np.bool_]":
    low, high = steps_shown(curves, options.view)
    return (steps >= low) & (steps <= high)


def _value_range(shown: list[Curve], curves: Curves, options: ChartOptions) -> tuple[float, float]:
    """Return the least and greatest value of the points shown, or of the ones nearest to them."""
    import numpy as np

    low, high = steps_shown(curves, options.view)
    steps, values = (np.concatenate([curve.points[axis] for curve in shown]) for axis in (0, 1))
    distance = np.maximum(low - steps, steps - high)
    inside = values[distance <= max(0.0, float(distance.min()))]
    return float(inside.min()), float(inside.max())


def _single_point(points: "Points", value_format: str) -> str:
    """Return what to show in place of a curve of less than two points."""
    steps, values = points
    return f"step {steps[0]:,.0f}: {value_format.format(values[0])}" if len(steps) else "Waiting for data"


def _chart(
    title: str,
    drawn: list[Curve],
    legend: list[LegendEntry],
    curves: Curves,
    y_axis: Axis,
    options: ChartOptions,
) -> Drawing:
    import numpy as np

    view = options.view
    unit = unit_of(curves, view)
    x_of = x_of_steps(curves, unit)
    first, last = steps_shown(curves, view)
    low, high = x_of(np.array((first, last))).tolist()
    low, high = (low, high) if low < high else (low - 1, high + 1)
    ends, every = epoch_ends(first, last, curves.steps_per_epoch, plot_columns(y_axis, options))
    cursor = None if view.cursor is None else float(x_of(np.array([view.cursor]))[0])
    x_range = XRange(unit=unit, low=low, high=high, ends=x_of(ends), every=every, cursor=cursor)
    placed = [Curve((x_of(curve.points[0]), curve.points[1]), curve.colour, curve.sign) for curve in drawn]
    return framed(title, placed, legend, (x_range, y_axis), options)
