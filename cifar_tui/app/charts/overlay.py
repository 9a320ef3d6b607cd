"""Charts of several runs on the same axes, told apart by marks and by line style as well as by colour.

NumPy is imported lazily to keep startup fast.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_tui.app.charts.axes import Axis, linear_axis, log_axis, padded
from cifar_tui.app.charts.curves import finite
from cifar_tui.app.charts.frame import (
    DASHES,
    LINE,
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
from cifar_tui.app.charts.view import ChartView, XUnit, run_steps, unit_of, x_of_steps
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.differences import RECENT
from cifar_tui.runs.format import loss_figure, rate_figure
from cifar_tui.runs.series import smoothed

if TYPE_CHECKING:
    from cifar_tui.app.charts.canvas import Numbers
    from cifar_tui.app.charts.frame import Points

MARKS = "●○▲△■□◆◇"
"""The marks of the runs; those with an open one have a dashed line."""

MOST_RUNS = len(MARKS)

_MARKS_PER_LINE = 5
"""Marks of a run on a chart, at most; those of the others are between them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunLines:
    """The curves of a run, and what tells them from those of others.

    Attributes:
        place: number of the run, from 0 to `MOST_RUNS` - 1, which gives its mark and its colour.
        curves: its curves.
    """

    place: int
    curves: Curves

    @property
    def mark(self) -> str:
        """A character of one cell."""
        return MARKS[self.place]

    @property
    def line(self) -> str:
        """The sign of its line: solid or dashed."""
        return DASHES if self.place % 2 else LINE

    @functools.cached_property
    def points(self) -> "dict[str, Points]":
        """The finite points of each curve by the name of its field, in steps."""
        names = (metric.field for metric in METRICS.values())
        return {name: finite(getattr(self.curves, name)) for name in names}


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """What a chart shows of each run.

    Attributes:
        title: of the chart.
        field: its name among `Curves`.
        scale: what values are multiplied with.
        figure: formats the latest value.
        is_noisy: whether smoothing applies.
    """

    title: str
    field: str
    figure: Callable[[float], str]
    scale: float = 1.0
    is_noisy: bool = False


METRICS = {
    "loss": Metric(title="Loss", field="loss", figure=loss_figure, is_noisy=True),
    "test": Metric(
        title="Test accuracy (%)", field="test_accuracy", figure=lambda value: f"{value:.1f}", scale=100
    ),
    "training": Metric(
        title="Train accuracy (%)",
        field="train_accuracy",
        figure=lambda value: f"{value:.1f}",
        scale=100,
        is_noisy=True,
    ),
    "rate": Metric(title="Learning rate", field="learning_rate", figure=rate_figure),
}
"""The charts by name, in the order in which they are shown."""


def common_unit(runs: Sequence[RunLines], unit: XUnit) -> XUnit:
    """Return the unit of the x axis: steps where what `unit` needs is not known of all runs."""
    known = all(
        unit_of(run.curves, ChartView(unit=unit)) is unit for run in runs if run_steps(run.curves)[1] > 0
    )
    return unit if known else XUnit.STEP


def extent(runs: Sequence[RunLines], unit: XUnit) -> Curves:
    """Return a made-up curve whose "steps" are places in `unit` where the runs have points, some of many.

    With it `ChartView` and its functions zoom, pan and point in any unit.
    """
    import numpy as np

    found = []
    for run in runs:
        steps = np.concatenate([run.points[name][0] for name in ("loss", "test_accuracy")])
        if len(steps):
            ends = np.array(run_steps(run.curves))
            thinned = np.unique(np.append(steps, ends))
            found.append(x_of_steps(run.curves, unit)(np.append(thinned[:: len(thinned) // 500 + 1], ends)))
    places = np.unique(np.concatenate(found)).tolist() if found else []
    return Curves(loss=[(place, 0.0) for place in places])


def converted(view: ChartView, run: RunLines, units: tuple[XUnit, XUnit]) -> ChartView:
    """Return `view` with its window and its cursor, which are in the first of `units`, in the second.

    Places are those of `run`.
    """
    import numpy as np

    steps = np.append(0.0, np.unique(run.points["loss"][0]))
    before, after = (x_of_steps(run.curves, unit)(steps) for unit in units)

    def moved(place: float) -> float:
        return float(np.interp(place, before, after))

    window = None if view.window is None else (moved(view.window[0]), moved(view.window[1]))
    if window is not None and window[0] >= window[1]:
        window = None
    cursor = None if view.cursor is None else moved(view.cursor)
    return ChartView(unit=units[1], zoom=view.zoom, window=window, cursor=cursor)


def step_of(run: Curves, unit: XUnit, place: float) -> float | None:
    """Return the step of a run at `place` on the x axis; None before its first one and beyond its last."""
    import numpy as np

    first, last = run_steps(run)
    match unit:
        case XUnit.STEP:
            step = place
        case XUnit.EPOCH:
            step = place * run.steps_per_epoch
        case XUnit.TIME:
            known, seconds = np.array([(0.0, 0.0), *run.train_seconds]).T
            step = float(np.interp(place, seconds, known)) if place <= seconds[-1] else last + 1
    return step if first <= step <= last * (1 + 1e-9) else None


def overlay_chart(
    runs: Sequence[RunLines], metric: Metric, shown: tuple[float, float], options: ChartOptions
) -> Drawing:
    """Draw one curve of each run; exactly `options.width` × `options.height` cells.

    Args:
        runs: the runs.
        metric: what to draw of them.
        shown: the ends of the x axis in the unit of the view, which must be the `common_unit`.
        options: how to draw it.
    """
    is_log = options.log_scale and metric.field == "loss"
    title = f"{metric.title}, log" if is_log else metric.title
    unit = options.view.unit
    low, high = shown
    parts: list[tuple[RunLines, Points]] = []
    latest: list[float] = []
    has_points = False
    for run in runs:
        steps, values = run.points[metric.field]
        has_points |= len(steps) > 0
        positive = values > 0
        if is_log:
            steps, values = steps[positive], values[positive]
        x, y = _between(x_of_steps(run.curves, unit)(steps), values * metric.scale, low, high)
        if len(x):
            smooth = metric.is_noisy and options.smoothing > 0
            parts.append((run, (x, smoothed(y, options.smoothing) if smooth else y)))
            latest.append(float(y[-1] if not metric.is_noisy else y[x >= x[-1] * (1 - RECENT)].mean()))
    if not parts:
        reason = "Nothing here: zoom out (-)" if has_points else "Waiting for data"
        if is_log and has_points:
            reason = "No positive loss to plot on a log scale (press l for linear)"
        return placeholder(title, reason, options)
    y_axis = _y_axis([points[1] for _, points in parts], metric, options, is_log=is_log)
    columns = plot_columns(y_axis, options)
    lengths = {run.curves.steps_per_epoch for run, _ in parts}
    length = {XUnit.EPOCH: 1.0, XUnit.STEP: lengths.pop() if len(lengths) == 1 else 0.0}.get(unit, 0.0)
    ends, every = epoch_ends(low, high, length, columns)
    x_range = XRange(unit=unit, low=low, high=high, ends=ends, every=every, cursor=options.view.cursor)
    colours = options.palette.runs
    lines = [Curve(points, colours[run.place], run.line) for run, points in parts]
    marks = [
        Curve(_marked(points, x_range, run.place, columns), colours[run.place], run.mark)
        for run, points in parts
    ]
    legend = [
        LegendEntry(mark, ("",), metric.figure(value)) for mark, value in zip(marks, latest, strict=True)
    ]
    room = options.width - len(title) - 1
    if sum(len(f"  {entry.curve.sign} {entry.value}") for entry in legend) > room:
        legend = []  # of some runs only would be taken for all; the table of the runs has them
    return framed(title, [*lines, *marks], legend, (x_range, y_axis), options)


def _between(x: "Numbers", y: "Numbers", low: float, high: float) -> "Points":
    """Return the points from `low` to `high`, and where the line through them enters and leaves."""
    import numpy as np

    inside = (x >= low) & (x <= high)
    edges = [edge for edge in (low, high) if len(x) and x[0] < edge < x[-1]]
    if not edges:
        return x[inside], y[inside]
    places = np.concatenate((x[inside], edges))
    values = np.concatenate((y[inside], np.interp(edges, x, y)))
    order = np.argsort(places, kind="stable")
    return places[order], values[order]


def _y_axis(values: "list[Numbers]", metric: Metric, options: ChartOptions, *, is_log: bool) -> Axis:
    low, high = padded(float(min(each.min() for each in values)), float(max(each.max() for each in values)))
    count = tick_count(options)
    if is_log:
        return log_axis(low, high, count=count)
    if metric.scale == 100:
        low, high = max(0.0, low), min(100.0, high)
    label = rate_figure if metric.field == "learning_rate" else None
    return linear_axis(low, high, count=count, label=label)


def _marked(points: "Points", x_range: XRange, place: int, columns: int) -> "Points":
    """Return where the marks of run number `place` are: at intervals, between those of runs as long."""
    import numpy as np

    x, y = points
    length = x[-1] - x[0]
    share = float(length / (x_range.high - x_range.low))
    count = max(1, min(_MARKS_PER_LINE, round(share * columns) // (2 * MOST_RUNS)))
    offset = (place * 3 % MOST_RUNS + 0.5) / MOST_RUNS  # neighbours are far apart
    places = x[0] + (np.arange(count) + offset) / count * length
    return places, np.interp(places, x, y)
