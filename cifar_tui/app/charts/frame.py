"""The frame of a chart: a title with its legend, the axes, and curves between them; no curve of a run.

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
    range_label,
    step_label,
    time_axis,
    time_label,
    x_axis_rows,
    y_axis_rows,
)
from cifar_tui.app.charts.canvas import Canvas, column_of
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.view import ChartView, XUnit

if TYPE_CHECKING:
    from cifar_tui.app.charts.canvas import Numbers

    Points = tuple[Numbers, Numbers]
    """Places on the x axis in ascending order, and the values there."""

LINE, DASHES, DOTS, DIAMOND, OPEN_DIAMOND = "⡠⠊", "⠤⠀⠤", "⠂⠄", "◆", "◇"
"""Signs of lines, of raw points, of evaluations and of an unfinished one; any other one is a mark as well."""

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
class Curve:
    """Points to draw as dots, a line or marks."""

    points: "Points"
    colour: str
    sign: str


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A curve in the legend: its names, from the longest, and its latest value, "" for none."""

    curve: Curve
    names: tuple[str, ...]
    value: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class XRange:
    """The part of the x axis that is shown.

    Attributes:
        unit: of the axis.
        low: its left end.
        high: its right end.
        cursor: where the cursor is; None without one.
        ends: where epochs end, or each `every`-th of them.
        axis: drawn instead of that of the unit; None for that one.
        names: of `axis`, from the longest.
    """

    unit: XUnit
    low: float
    high: float
    ends: "Numbers"
    every: int = 1
    cursor: float | None = None
    axis: Axis | None = None
    names: tuple[str, ...] = ()

    def shares(self, x: "Numbers") -> "Numbers":
        """Return how far each place is from the left end (0) to the right end (1)."""
        shares: Numbers = (x - self.low) / (self.high - self.low)
        return shares


def tick_count(options: ChartOptions) -> int:
    """Return how many ticks a y axis has room for, at least two."""
    return max(2, (options.height - 3) // 2)


def framed(
    title: str,
    drawn: Sequence[Curve],
    legend: Sequence[LegendEntry],
    axes: tuple[XRange, Axis],
    options: ChartOptions,
) -> Drawing:
    """Draw curves, whose points are places on the x axis, in a frame; what is drawn later covers the rest."""
    if options.width < _MIN_WIDTH or options.height < _MIN_HEIGHT:
        return placeholder(title, "Too small for a chart", options)
    import numpy as np

    palette, (x_range, y_axis) = options.palette, axes
    if not y_axis.is_log:
        y_axis = evenly_spaced(y_axis, options.height - 3)
    width, height = plot_columns(y_axis, options), options.height - 3
    label_width = options.width - width - 1

    def up(values: "Numbers") -> "Numbers":
        scaled: Numbers = np.log10(values) if y_axis.is_log else values
        share: Numbers = (scaled - y_axis.low) / (y_axis.high - y_axis.low)
        return share

    canvas = Canvas(width, height)
    canvas.rule(x_range.shares(x_range.ends), _EPOCH_END, palette.grid)
    foot = None
    if x_range.cursor is not None and 0 <= (place := x_range.shares(np.array([x_range.cursor]))[0]) <= 1:
        canvas.rule(np.array([place]), _CURSOR, palette.text)
        foot = column_of(float(place), width)
    for curve in drawn:
        if len(curve.points[0]):
            _draw(canvas, curve, x_range.shares(curve.points[0]), up(curve.points[1]), width)
    unit = x_range.unit
    x_axis = x_range.axis or _X_AXES[unit](x_range.low, x_range.high, max(2, options.width // 12))
    names = [*x_range.names] or [unit.value]
    if len(x_range.ends) and unit is not XUnit.EPOCH:
        grid = "epoch" if x_range.every == 1 else f"every {x_range.every} epochs"
        names.insert(0, f"{unit} · {_EPOCH_END} {grid}")
    lines = [
        _legend(_titles(title, x_axis, unit, options), legend, options),
        *y_axis_rows(canvas.rows(), y_axis, label_width, Style(color=palette.axis)),
        *x_axis_rows(x_axis, names, foot, (label_width, width), Style(color=palette.axis)),
    ]
    return Drawing(lines=lines, plot=range(label_width + 1, options.width))


def _draw(canvas: Canvas, curve: Curve, x: "Numbers", y: "Numbers", width: int) -> None:
    if curve.sign == LINE:
        canvas.line(x, y, curve.colour)
    elif curve.sign == DASHES:
        canvas.dashes(x, y, curve.colour)
    elif curve.sign == DOTS:
        canvas.dots(x, y, curve.colour)
    else:
        apart = _MARK_COLUMNS * int(((x >= 0) & (x <= 1)).sum()) // width + 1
        canvas.signs(x[::-apart], y[::-apart], curve.sign, curve.colour)


def plot_columns(y_axis: Axis, options: ChartOptions) -> int:
    """Return the columns right of the y axis; at least one."""
    return max(1, options.width - max(map(len, y_axis.labels), default=0) - 1)


_X_AXES: dict[XUnit, Callable[[float, float, int], Axis]] = {
    XUnit.STEP: lambda low, high, count: linear_axis(low, high, count=count, label=step_label),
    XUnit.EPOCH: lambda low, high, count: linear_axis(low, high, count=count),
    XUnit.TIME: lambda low, high, count: time_axis(low, high, count=count),
}


def epoch_ends(low: float, high: float, length: float, columns: int) -> "tuple[Numbers, int]":
    """Return where the epochs from `low` to `high` end, or each n-th of them where there are many, and n.

    Args:
        low: where the axis begins.
        high: where it ends.
        length: of an epoch; 0 while it is not known.
        columns: that the axis has.
    """
    import numpy as np

    if not length:
        return np.array([]), 1
    least = (high - low) / length * _EPOCH_COLUMNS / columns
    every = next(
        factor * 10**power for power in range(18) for factor in (1, 2, 5) if factor * 10**power >= least
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


def _legend(titles: list[str], entries: Sequence[LegendEntry], options: ChartOptions) -> Strip:
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


def _legend_segments(
    title: str, entries: Sequence[LegendEntry], level: int, palette: Palette
) -> list[Segment]:
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


def placeholder(title: str, reason: str, options: ChartOptions) -> Drawing:
    """Build a chart without curves that says why."""
    lines = [_fitted([], options.width) for _ in range(options.height)]
    if options.height > 1:
        lines[0] = _legend([title], [], options)
    text = Segment(f"{reason:^{options.width}}", Style(color=options.palette.axis))
    if lines:  # a pane that is being laid out may have no rows yet
        lines[options.height // 2] = _fitted([text], options.width)
    return Drawing(lines=lines)


def _fitted(segments: list[Segment], width: int) -> Strip:
    return Strip(segments).adjust_cell_length(width)
