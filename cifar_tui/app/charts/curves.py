"""Charts of the loss and the accuracy over the steps, drawn with plotext.

plotext and NumPy are imported lazily to keep startup fast.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from rich.text import Text
from textual.color import Color

from cifar_tui.app.charts.axes import Axis, linear_axis, log_axis, padded, step_label, step_range_label
from cifar_tui.runs.format import loss_figure
from cifar_tui.runs.series import decimate
from cifar_tui.runs.state import Curves

SMOOTHING_LEVELS = (0.0, 0.02, 0.05, 0.2)
"""Widths of the mean's window that a key cycles through, in shares of the points shown; 0 draws no mean."""

MAX_ZOOM = 8

_MIN_WIDTH, _MIN_HEIGHT = 20, 5
_RAW, _LINE, _DIAMOND = "braille", "hd", "◆"
_LEGEND_SIGNS = {_RAW: "⣿", _LINE: "▄▀", _DIAMOND: "◆"}

Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """The colours of a chart, each as "#rrggbb"."""

    loss: str
    loss_raw: str
    training: str
    training_raw: str
    test: str
    axis: str
    text: str

    @classmethod
    def from_theme(cls, variables: Mapping[str, str]) -> "Palette":
        """Derive the colours from a Textual theme, as in `App.theme_variables`."""
        background = Color.parse(variables["background"])
        if background.ansi is not None:  # the terminal's own colours are not known here
            return ANY_BACKGROUND
        foreground = Color.parse(variables["foreground"])
        loss = Color.parse(variables["accent"])
        training = Color.parse(variables["primary"]).blend(foreground, 0.25)
        return cls(
            loss=loss.hex6,
            loss_raw=loss.blend(background, 0.35).hex6,
            training=training.hex6,
            training_raw=training.blend(background, 0.35).hex6,
            test=Color.parse(variables["success"]).hex6,
            axis=foreground.blend(background, 0.5).hex6,
            text=foreground.hex6,
        )


ANY_BACKGROUND = Palette(
    loss="#d78700",
    loss_raw="#94743f",
    training="#5f87d7",
    training_raw="#5f7397",
    test="#4ea35f",
    axis="#808080",
    text="#808080",
)
"""Middle tones, readable on dark and on light."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartOptions:
    """How to draw a chart.

    Attributes:
        width: columns, including the axis.
        height: rows, including the legend and the axis.
        smoothing: width of the window of the smoothed line, as a share (0-1) of the points shown; 0: no line.
        zoom: draw only the last 1 / 2**zoom of the steps.
        log_scale: draw the loss on a logarithmic axis, without losses that are not above 0.
    """

    width: int
    height: int
    palette: Palette
    smoothing: float = 0.05
    zoom: int = 0
    log_scale: bool = False


@dataclass(frozen=True, slots=True)
class _Series:
    """Points to draw with a marker of plotext, as a line or not."""

    points: Points
    colour: str
    marker: str
    is_line: bool = True


_LegendEntry = tuple[_Series, str, str]
"""A series, its name and its latest value, which is left out if the legend is too wide."""


def loss_chart(curves: Curves, options: ChartOptions) -> Text:
    """Draw the training loss and its moving mean; exactly `options.width` × `options.height` cells."""
    palette = options.palette
    finite = _finite(curves.loss)
    points = [point for point in finite if point[1] > 0] if options.log_scale else finite
    if finite and not points:
        return _placeholder("Loss", "No positive loss to plot on a log scale (press l for linear)", options)
    if len(points) < 2:
        return _placeholder("Loss", _single_point(points, "loss {:.3f}"), options)
    first, last = _step_range(curves, options.zoom)
    raw, *mean = _training_series(points, first, palette.loss, palette.loss_raw, options.smoothing)
    latest = loss_figure((mean or [raw])[0].points[-1][1])
    if mean:
        legend = [(mean[0], f"smoothed over {100 * options.smoothing:g} %", latest), (raw, "raw", "")]
    else:
        legend = [(raw, "raw", latest)]
    values = [value for _, value in raw.points]
    make_axis = log_axis if options.log_scale else linear_axis
    y_axis = make_axis(*padded(min(values), max(values)), count=max(2, options.height // 2 - 1))
    title = "Loss, log" if options.log_scale else "Loss"
    return _chart(title, [raw, *mean], legend, (first, last), y_axis, options)


def accuracy_chart(curves: Curves, options: ChartOptions) -> Text:
    """Draw the training accuracy in per cent, and a mark for each evaluation on the test set."""
    palette = options.palette
    points, tests = _percent(curves.train_accuracy), _percent(curves.test_accuracy)
    if len(points) + len(tests) < 2:
        return _placeholder("Accuracy", _single_point(points + tests, "accuracy {:.1f} %"), options)
    first, last = _step_range(curves, options.zoom)
    series = _training_series(points, first, palette.training, palette.training_raw, options.smoothing)
    marks = _Series(_since(first, tests), palette.test, _DIAMOND, is_line=False)
    legend = [
        (entry, name, f"{entry.points[-1][1]:.1f} %")
        for entry, name in ((series[-1], "training"), (marks, "test"))
        if entry.points
    ]
    values = [value for _, value in series[0].points + marks.points]
    low, high = padded(min(values), max(values))
    y_axis = linear_axis(max(0.0, low), min(100.0, high), count=max(2, options.height // 2 - 1))
    return _chart("Accuracy", [*series, marks], legend, (first, last), y_axis, options)


def smoothed(points: Sequence[tuple[float, float]], share: float) -> Points:
    """Compute the centred mean of `points` over a window of `share` (0-1) of them, at least three.

    The window shrinks towards both ends, so that the line never leaves the points it stands for.
    """
    import numpy as np

    xs, ys = zip(*points, strict=True)
    index = np.arange(len(points))
    near = np.minimum(max(1, round(share * len(points) / 2)), np.minimum(index, index[::-1]))
    sums = np.cumsum((0.0, *ys))
    means = (sums[index + near + 1] - sums[index - near]) / (2 * near + 1)
    return list(zip(xs, means.tolist(), strict=True))


def _training_series(
    points: Points, first: float, colour: str, faint: str, smoothing: float
) -> list[_Series]:
    """Return the points from step `first` on: faint with their moving mean, or as a line without it."""
    raw = _since(first, points)
    if not smoothing:
        return [_Series(raw, colour, _RAW)]
    mean = smoothed(raw, smoothing)
    return [_Series(raw, faint, _RAW, is_line=False), _Series(mean, colour, _LINE)]


def _finite(points: Sequence[tuple[float, float]]) -> Points:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _percent(points: Sequence[tuple[float, float]]) -> Points:
    return [(x, 100 * y) for x, y in _finite(points)]


def _since(step: float, points: Points) -> Points:
    """Return the points from `step` on, and at least the last one."""
    return [point for point in points if point[0] >= step] or points[-1:]


def _step_range(curves: Curves, zoom: int) -> tuple[float, float]:
    """Return the first and last step to show, the same for all charts of a run."""
    steps = [
        curve[end][0]
        for curve in (curves.loss, curves.train_accuracy, curves.test_accuracy)
        if curve
        for end in (0, -1)
    ]
    first, last = min(steps), max(steps)
    if first < last / 10:
        first = 0.0
    if first == last:
        return first - 1, last + 1
    return last - (last - first) / 2**zoom, last


def _chart(
    title: str,
    series: list[_Series],
    legend: list[_LegendEntry],
    steps: tuple[float, float],
    y_axis: Axis,
    options: ChartOptions,
) -> Text:
    if options.width < _MIN_WIDTH or options.height < _MIN_HEIGHT:
        return _placeholder(title, "Too small for a chart", options)
    import plotext

    x_axis = linear_axis(*steps, count=max(2, options.width // 12), label=step_label)
    # plotext keeps one global figure, and by default clips it to its guess of the terminal's size
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plotsize(options.width, options.height - 1)
    plotext.theme("clear")
    plotext.ticks_color(Color.parse(options.palette.axis).rgb)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for entry in series:
        points = decimate(entry.points, 2 * options.width)
        if points:
            xs, ys = zip(*points, strict=True)
            if y_axis.is_log:
                ys = tuple(map(math.log10, ys))
            draw = plotext.plot if entry.is_line else plotext.scatter
            draw(xs, ys, marker=entry.marker, color=Color.parse(entry.colour).rgb)
    plotext.xlim(x_axis.low, x_axis.high)
    plotext.ylim(y_axis.low, y_axis.high)
    plotext.xticks(x_axis.ticks, x_axis.labels)
    plotext.yticks(y_axis.ticks, y_axis.labels)
    body = Text.from_ansi(plotext.build().rstrip("\n"))
    plotext.clear_figure()
    titles = [title]
    if options.zoom:
        shown = step_range_label(*steps)
        titles = [f"{title}, steps {shown}", f"{title}, {shown}"]
    return _join([_legend(titles, legend, options), body])


def _legend(titles: list[str], entries: list[_LegendEntry], options: ChartOptions) -> Text:
    """Build a row of exactly the chart's width with as many names and values as fit."""
    row = Text()
    levels = ((entries, True), (entries, False), (entries[:1], False), (entries[:0], False))
    for (shown, with_values), title in product(levels, titles):
        row = Text.assemble((f" {title}", f"bold {options.palette.text}"))
        for series, name, value in shown:
            text = f" {name} {value}" if with_values and value else f" {name}"
            row.append("  ").append(_LEGEND_SIGNS[series.marker], series.colour)
            row.append(text, options.palette.axis)
        if row.cell_len <= options.width:
            break
    row.truncate(options.width, pad=True)
    return row


def _single_point(points: Points, value_format: str) -> str:
    """Return what to show in place of a curve of less than two points."""
    return f"step {points[0][0]:,.0f}: {value_format.format(points[0][1])}" if points else "Waiting for data"


def _placeholder(title: str, reason: str, options: ChartOptions) -> Text:
    """Build a chart without curves that says why."""
    rows = [Text() for _ in range(options.height)]
    if options.height > 1:
        rows[0] = _legend([title], [], options)
    rows[options.height // 2] = Text(f"{reason:^{options.width}}", options.palette.axis)
    for row in rows:
        row.truncate(options.width, pad=True)
    return _join(rows)


def _join(rows: list[Text]) -> Text:
    return Text("\n", no_wrap=True, end="").join(rows)
