"""Charts of the loss, the accuracy and the learning rate over a run: plain data and a size in, lines out.

NumPy is imported lazily to keep startup fast.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cifar_tui.app.charts.axes import (
    Axis,
    evenly_spaced,
    linear_axis,
    log_axis,
    padded,
    range_label,
    step_label,
    time_axis,
    time_label,
    x_axis_rows,
    y_axis_rows,
)
from cifar_tui.app.charts.canvas import Canvas, column_of
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.view import ChartView, XUnit, steps_shown, unit_of, x_of_steps
from cifar_tui.runs.format import loss_figure, rate_figure
from cifar_tui.runs.state import Curves

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.app.charts.canvas import Numbers

    Points = tuple[Numbers, Numbers]
    """Steps in ascending order, and the values there."""

SMOOTHING_LEVELS = (0.0, 0.02, 0.05, 0.2)
"""Widths of the mean's window that a key cycles through, in shares of the points shown; 0 draws no mean."""

LINE, DOTS, DIAMOND, OPEN_DIAMOND = "⡠⠊", "⠂⠄", "◆", "◇"
"""Signs of a line, of raw points, of evaluations and of an unfinished one in the legend."""

_EPOCH_END, _CURSOR = "┊", "│"
_MIN_WIDTH, _MIN_HEIGHT = 20, 5
_EPOCH_COLUMNS = 6
"""Least distance of two marked ends of epochs."""
_MARK_COLUMNS = 3
"""Columns for each mark of an evaluation, so that the line below the marks is seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartOptions:
    """How to draw a chart.

    Attributes:
        width: columns, including the axis.
        height: rows, including the legend and the axis.
        smoothing: width of the window of the smoothed line, as a share (0-1) of the points shown; 0: no line.
        view: the part of the run, the x axis and the cursor.
        log_scale: draw the loss on a logarithmic axis, without losses that are not above 0.
    """

    width: int
    height: int
    palette: Palette
    smoothing: float = 0.05
    view: ChartView = field(default_factory=ChartView)
    log_scale: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """The lines of a chart, all as wide as it, and the columns between its axis and its right edge."""

    lines: list[Strip]
    plot: range = range(0)


@dataclass(frozen=True, slots=True)
class _Curve:
    """Points to draw as dots, a line or diamonds."""

    points: "Points"
    colour: str
    sign: str


@dataclass(frozen=True, slots=True)
class _LegendEntry:
    """A curve in the legend: its names, from the longest, and its latest value, "" for none."""

    curve: _Curve
    names: tuple[str, ...]
    value: str = ""


def loss_chart(curves: Curves, options: ChartOptions) -> Drawing:
    """Draw the training loss and its moving mean; exactly `options.width` × `options.height` cells."""
    palette, title = options.palette, "Loss, log" if options.log_scale else "Loss"
    steps, losses = points = _finite(curves.loss)
    if options.log_scale:
        points = steps[losses > 0], losses[losses > 0]
        if len(steps) and not len(points[0]):
            return _placeholder(
                title, "No positive loss to plot on a log scale (press l for linear)", options
            )
    if len(points[0]) < 2:
        return _placeholder(title, _single_point(points, "loss {:.3f}"), options)
    drawn = _training_curves(points, curves, palette.loss, palette.loss_raw, options)
    raw = _LegendEntry(drawn[0], ("raw", "raw", ""), loss_figure(float(points[1][-1])))
    legend = [raw]
    if len(drawn) > 1:
        window = f"{100 * options.smoothing:g} %"
        legend.append(_LegendEntry(drawn[1], (f"smoothed, {window} window", f"smoothed {window}")))
    make_axis = log_axis if options.log_scale else linear_axis
    y_axis = make_axis(*padded(*_value_range(drawn[:1], curves, options)), count=_tick_count(options))
    return _chart(title, drawn, legend, curves, y_axis, options)


def accuracy_chart(curves: Curves, options: ChartOptions) -> Drawing:
    """Draw the training accuracy in per cent, and a mark for each evaluation on the test set."""
    palette, title = options.palette, "Accuracy (%)"
    training, tests = _percent(curves.train_accuracy), _percent(curves.test_accuracy)
    margin, so_far = _so_far(curves, palette)
    if len(training[0]) + len(tests[0]) < 2:
        single = training if len(training[0]) else tests
        return _placeholder(title, _single_point(single, "accuracy {:.1f} %"), options)
    trained = _training_curves(training, curves, palette.training, palette.training_raw, options)
    marks = _Curve(tests, palette.test, DIAMOND)
    legend = [
        _LegendEntry(curve, names, f"{curve.points[1][-1]:.1f} %")
        for curve, names in (
            (trained[-1], ("training", "train", "")),
            (marks, ("test", "test", "")),
            (so_far, ("test so far", "so far")),
        )
        if len(curve.points[0])
    ]
    low, high = padded(*_value_range([trained[0], marks, margin, so_far], curves, options))
    y_axis = linear_axis(max(0.0, low), min(100.0, high), count=_tick_count(options))
    lines = [_growing_line(curves, palette, y_axis.low), *_test_line(tests, curves, palette, options)]
    drawn = [*trained, *lines, marks, margin, so_far]
    return _chart(title, drawn, legend, curves, y_axis, options)


def _test_line(tests: "Points", curves: Curves, palette: Palette, options: ChartOptions) -> list[_Curve]:
    """Return a line through the evaluations, which shows what the marks, on whole rows, do not."""
    several = _inside(tests[0], curves, options).sum() > 1
    return [_Curve(tests, palette.test, LINE)] if several else []


def _so_far(curves: Curves, palette: Palette) -> tuple[_Curve, _Curve]:
    """Return an unfinished evaluation: its margin as a line, and its mark; empty without one."""
    now = curves.test_so_far
    bounds = [(now.step, now.accuracy - now.margin), (now.step, now.accuracy + now.margin)] if now else []
    mark = [(now.step, now.accuracy)] if now else []
    return _Curve(_percent(bounds), palette.test, LINE), _Curve(_percent(mark), palette.test, OPEN_DIAMOND)


def _growing_line(curves: Curves, palette: Palette, low: float) -> _Curve:
    """Return a line that grows from `low` to the mark of an unfinished evaluation; empty without one."""
    now = curves.test_so_far
    top = low + now.share * (100 * now.accuracy - low) if now else low
    steps, values = _finite([(now.step, low), (now.step, top)] if now else [])
    return _Curve((steps, values), palette.test, LINE)


def rate_chart(curves: Curves, options: ChartOptions) -> Drawing:
    """Draw the learning rate."""
    points = _finite(curves.learning_rate)
    if len(points[0]) < 2:
        return _placeholder("Learning rate", _single_point(points, "{:.3g}"), options)
    curve = _Curve(points, options.palette.rate, LINE)
    legend = [_LegendEntry(curve, ("latest", ""), rate_figure(float(points[1][-1])))]
    least, greatest = _value_range([curve], curves, options)
    low, high = padded(least, greatest)
    y_axis = linear_axis(low, high, count=_tick_count(options), label=rate_figure)
    if low < least:  # a constant rate needs no other label
        y_axis = Axis(low=low, high=high, ticks=[least], labels=[rate_figure(least)])
    return _chart("Learning rate", [curve], legend, curves, y_axis, options)


def smoothed(values: "Numbers", share: float) -> "Numbers":
    """Compute the centred mean of `values` over a window of `share` (0-1) of them, at least three.

    The window shrinks towards both ends, so that the line never leaves the points it stands for.
    """
    import numpy as np

    index = np.arange(len(values))
    near = np.minimum(max(1, round(share * len(values) / 2)), np.minimum(index, index[::-1]))
    sums = np.concatenate(((0.0,), np.cumsum(values)))
    means: Numbers = (sums[index + near + 1] - sums[index - near]) / (2 * near + 1)
    return means


def _training_curves(
    points: "Points", curves: Curves, colour: str, faint: str, options: ChartOptions
) -> list[_Curve]:
    """Return the points shown: faint dots and a line of their moving mean, or a line through them."""
    steps, values = points
    inside = _inside(steps, curves, options)
    if not options.smoothing or not inside.any():
        return [_Curve(points, colour, LINE)]
    steps, values = steps[inside], values[inside]
    mean = _Curve((steps, smoothed(values, options.smoothing)), colour, LINE)
    return [_Curve((steps, values), faint, DOTS), mean]


def _finite(points: Sequence[tuple[float, float]]) -> "Points":
    import numpy as np

    steps, values = np.array(points, np.float64).reshape(-1, 2).T
    finite = np.isfinite(steps) & np.isfinite(values)
    return steps[finite], values[finite]


def _percent(points: Sequence[tuple[float, float]]) -> "Points":
    steps, shares = _finite(points)
    return steps, 100 * shares


def _inside(steps: "Numbers", curves: Curves, options: ChartOptions) -> "NDArray[np.bool_]":
    low, high = steps_shown(curves, options.view)
    return (steps >= low) & (steps <= high)


def _value_range(shown: list[_Curve], curves: Curves, options: ChartOptions) -> tuple[float, float]:
    """Return the least and greatest value of the points shown, or of the ones nearest to them."""
    import numpy as np

    low, high = steps_shown(curves, options.view)
    steps, values = (np.concatenate([curve.points[axis] for curve in shown]) for axis in (0, 1))
    distance = np.maximum(low - steps, steps - high)
    inside = values[distance <= max(0.0, float(distance.min()))]
    return float(inside.min()), float(inside.max())


def _tick_count(options: ChartOptions) -> int:
    return max(2, (options.height - 3) // 2)


def _chart(
    title: str,
    drawn: list[_Curve],
    legend: list[_LegendEntry],
    curves: Curves,
    y_axis: Axis,
    options: ChartOptions,
) -> Drawing:
    if options.width < _MIN_WIDTH or options.height < _MIN_HEIGHT:
        return _placeholder(title, "Too small for a chart", options)
    import numpy as np

    palette, view = options.palette, options.view
    if not y_axis.is_log:
        y_axis = evenly_spaced(y_axis, options.height - 3)
    label_width = max(map(len, y_axis.labels), default=0)
    width, height = options.width - label_width - 1, options.height - 3
    unit = unit_of(curves, view)
    x_of = x_of_steps(curves, unit)
    low, high = x_of(np.array(steps_shown(curves, view))).tolist()
    low, high = (low, high) if low < high else (low - 1, high + 1)

    def across(steps: "Numbers") -> "Numbers":
        share: Numbers = (x_of(steps) - low) / (high - low)
        return share

    def up(values: "Numbers") -> "Numbers":
        scaled: Numbers = np.log10(values) if y_axis.is_log else values
        share: Numbers = (scaled - y_axis.low) / (y_axis.high - y_axis.low)
        return share

    canvas = Canvas(width, height)
    ends, every = _epoch_ends(curves, options, width)
    canvas.rule(across(ends), _EPOCH_END, palette.grid)
    foot = None
    if view.cursor is not None and 0 <= (place := float(across(np.array([view.cursor]))[0])) <= 1:
        canvas.rule(np.array([place]), _CURSOR, palette.text)
        foot = column_of(place, width)
    for curve in drawn:
        if len(curve.points[0]):
            x, y = across(curve.points[0]), up(curve.points[1])
            if curve.sign in {DIAMOND, OPEN_DIAMOND}:
                apart = _MARK_COLUMNS * np.count_nonzero((x >= 0) & (x <= 1)) // width + 1
                canvas.signs(x[::-apart], y[::-apart], curve.sign, curve.colour)
            elif curve.sign == DOTS:
                canvas.dots(x, y, curve.colour)
            else:
                canvas.line(x, y, curve.colour)
    x_axis = _X_AXES[unit](low, high, max(2, options.width // 12))
    names = [unit.value]
    if len(ends) and unit is not XUnit.EPOCH:
        grid = "epoch" if every == 1 else f"every {every} epochs"
        names.insert(0, f"{unit} · {_EPOCH_END} {grid}")
    lines = [
        _legend(_titles(title, x_axis, unit, options), legend, options),
        *y_axis_rows(canvas.rows(), y_axis, label_width, Style(color=palette.axis)),
        *x_axis_rows(x_axis, names, foot, (label_width, width), Style(color=palette.axis)),
    ]
    return Drawing(lines=lines, plot=range(label_width + 1, options.width))


_X_AXES: dict[XUnit, Callable[[float, float, int], Axis]] = {
    XUnit.STEP: lambda low, high, count: linear_axis(low, high, count=count, label=step_label),
    XUnit.EPOCH: lambda low, high, count: linear_axis(low, high, count=count),
    XUnit.TIME: lambda low, high, count: time_axis(low, high, count=count),
}


def _epoch_ends(curves: Curves, options: ChartOptions, width: int) -> "tuple[Numbers, int]":
    """Return the steps at which the epochs shown end, or each n-th of them where there are many, and n."""
    import numpy as np

    low, high = steps_shown(curves, options.view)
    length = curves.steps_per_epoch
    if not length:
        return np.array([]), 1
    least = (high - low) / length * _EPOCH_COLUMNS / width
    every = next(
        factor * 10**power for power in range(10) for factor in (1, 2, 5) if factor * 10**power >= least
    )
    ends = np.arange(every, high / length + 1, every) * length
    return ends[(ends > low) & (ends < high)], every


def _titles(title: str, x_axis: Axis, unit: XUnit, options: ChartOptions) -> list[str]:
    """Return the chart's title, from the longest, with the range shown if it is not the whole run."""
    if not options.view.zoom and options.view.window is None:
        return [title]
    if unit is XUnit.TIME:
        shown = f"{time_label(round(x_axis.low))}–{time_label(round(x_axis.high))}"
        return [f"{title}, {shown}", title]
    shown = range_label(x_axis.low, x_axis.high)
    return [f"{title}, {unit}s {shown}", f"{title}, {shown}", title]


def _legend(titles: list[str], entries: list[_LegendEntry], options: ChartOptions) -> Strip:
    """Build a row of exactly the chart's width: names are shortened, then the first entries are left out.

    The title goes only where it leaves no room for a value.
    """
    levels = max((len(entry.names) for entry in entries), default=1)
    kept = [entries[first:] for first in range(max(1, len(entries)))]
    segments: list[Segment] = []
    for rest, level, title in (
        *product(kept, range(levels), titles),
        *product(kept, [levels - 1], [""]),
    ):
        segments = _legend_segments(title, rest, level, options.palette)
        if sum(segment.cell_length for segment in segments) <= options.width:
            break
    return _fitted(segments, options.width)


def _legend_segments(title: str, entries: list[_LegendEntry], level: int, palette: Palette) -> list[Segment]:
    """Return the title and each curve's sign, name, the shorter the higher the level, and value."""
    axis = Style(color=palette.axis)
    segments = [Segment(f" {title}", Style(color=palette.text, bold=True))] if title else []
    for entry in entries:
        name = entry.names[min(level, len(entry.names) - 1)]
        segments += [
            Segment("  " if segments else ""),
            Segment(entry.curve.sign, Style(color=entry.curve.colour)),
            Segment("".join(f" {part}" for part in (name, entry.value) if part), axis),
        ]
    return segments


def _single_point(points: "Points", value_format: str) -> str:
    """Return what to show in place of a curve of less than two points."""
    steps, values = points
    return f"step {steps[0]:,.0f}: {value_format.format(values[0])}" if len(steps) else "Waiting for data"


def _placeholder(title: str, reason: str, options: ChartOptions) -> Drawing:
    """Build a chart without curves that says why."""
    lines = [_fitted([], options.width) for _ in range(options.height)]
    if options.height > 1:
        lines[0] = _legend([title], [], options)
    text = Segment(f"{reason:^{options.width}}", Style(color=options.palette.axis))
    lines[options.height // 2] = _fitted([text], options.width)
    return Drawing(lines=lines)


def _fitted(segments: list[Segment], width: int) -> Strip:
    return Strip(segments).adjust_cell_length(width)
