"""What part of a run the charts show, over which x axis. All positions are steps."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from cifar_tui.runs.curves import Curves

if TYPE_CHECKING:
    from collections.abc import Callable

    from cifar_tui.app.charts.canvas import Numbers

MAX_ZOOM = 8

_PAN_SHARE = 0.25


class XUnit(StrEnum):
    """What the x axis counts; `TIME` is time spent training."""

    STEP = "step"
    EPOCH = "epoch"
    TIME = "time"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartView:
    """What the charts of a run show.

    Attributes:
        unit: of the x axis.
        zoom: without a window, show the last 1 / 2**zoom of the steps.
        window: the first and last step shown; None follows the latest step.
        cursor: the step that is read out; None without a cursor.
    """

    unit: XUnit = XUnit.STEP
    zoom: int = 0
    window: tuple[float, float] | None = None
    cursor: float | None = None


def run_steps(curves: Curves) -> tuple[float, float]:
    """Return the first and last step of a run, the same for all its charts; (0, 0) without points."""
    steps = [
        curve[end][0]
        for curve in (curves.loss, curves.train_accuracy, curves.test_accuracy)
        if curve
        for end in (0, -1)
    ]
    first, last = min(steps, default=0.0), max(steps, default=0.0)
    return (0.0 if first < last / 10 else first), last


def steps_shown(curves: Curves, view: ChartView) -> tuple[float, float]:
    """Return the first and last step that `view` shows."""
    first, last = run_steps(curves)
    if view.window is not None and view.window[0] < last:  # a resume may have taken back what it showed
        return view.window
    if first == last:
        return first - 1, last + 1
    return last - (last - first) / 2**view.zoom, last


def zoomed(curves: Curves, view: ChartView, direction: int) -> ChartView:
    """Show half (1) or twice (-1) the steps: the latest ones, or those around the cursor or the middle."""
    if view.window is None and view.cursor is None:
        return replace(view, zoom=min(MAX_ZOOM, max(0, view.zoom + direction)))
    first, last = run_steps(curves)
    low, high = steps_shown(curves, view)
    centre = view.cursor if view.cursor is not None and low <= view.cursor <= high else (low + high) / 2
    span = max((high - low) / 2**direction, (last - first) / 2**MAX_ZOOM)
    return _windowed(curves, view, centre - (centre - low) / (high - low) * span, span)


def panned(curves: Curves, view: ChartView, direction: int) -> ChartView:
    """Move to earlier (-1) or later (1) steps by a quarter of those shown; a cursor stays among them."""
    low, high = steps_shown(curves, view)
    view = _windowed(curves, view, low + direction * _PAN_SHARE * (high - low), high - low)
    cursor, (low, high) = view.cursor, steps_shown(curves, view)
    if cursor is None or low <= cursor <= high:
        return view
    edge = low if direction > 0 else high
    beyond = [place for place in cursor_places(curves) if (place - edge) * direction >= 0]
    return pointed(curves, view, min(beyond, key=lambda place: abs(place - edge), default=cursor))


def pointed(curves: Curves, view: ChartView, step: float) -> ChartView:
    """Put the cursor on the point nearest to `step`, and show it."""
    places = cursor_places(curves)
    if not places:
        return replace(view, cursor=None)
    cursor = min(places, key=lambda place: abs(place - step))
    low, high = steps_shown(curves, view)
    view = replace(view, cursor=cursor)
    outside = min(0.0, cursor - low) + max(0.0, cursor - high)
    return _windowed(curves, view, low + outside, high - low) if outside else view


def moved(curves: Curves, view: ChartView, columns: float) -> ChartView:
    """Move the cursor by `columns` (in shares of the steps shown; negative: left), by one point at least."""
    places = cursor_places(curves)
    if view.cursor is None or not places:
        return view
    low, high = steps_shown(curves, view)
    target = pointed(curves, view, view.cursor + columns * (high - low))
    if target.cursor != view.cursor:
        return target
    beyond = [place for place in places if (place - view.cursor) * columns > 0]
    return pointed(
        curves, view, min(beyond, key=lambda place: abs(place - (view.cursor or 0.0)), default=view.cursor)
    )


def cursor_places(curves: Curves) -> list[float]:
    """Return the steps that a cursor can read out."""
    return [step for step, _ in curves.loss or curves.test_accuracy]


def unit_of(curves: Curves, view: ChartView) -> XUnit:
    """Return the unit of the x axis: steps where what the chosen one needs is not known."""
    known = {
        XUnit.STEP: True,
        XUnit.EPOCH: curves.steps_per_epoch > 0,
        XUnit.TIME: bool(curves.train_seconds) and curves.train_seconds[-1][1] > 0,
    }
    return view.unit if known[view.unit] else XUnit.STEP


def x_of_steps(curves: Curves, unit: XUnit) -> "Callable[[Numbers], Numbers]":
    """Return the function from steps to positions on an x axis in `unit` (epochs, or seconds of training)."""
    import numpy as np

    match unit:
        case XUnit.STEP:
            return lambda steps: steps
        case XUnit.EPOCH:
            return lambda steps: steps / curves.steps_per_epoch
        case XUnit.TIME:
            known, seconds = np.array([(0.0, 0.0), *curves.train_seconds]).T
            return lambda steps: np.interp(steps, known, seconds)


def step_at(curves: Curves, view: ChartView, share: float) -> float:
    """Return the step at `share` (0-1) of the x axis, from the left."""
    low, high = steps_shown(curves, view)
    if unit_of(curves, view) is not XUnit.TIME:
        return low + share * (high - low)
    import numpy as np

    known, seconds = np.array([(0.0, 0.0), *curves.train_seconds]).T
    first, last = np.interp((low, high), known, seconds)
    return float(np.interp(first + share * (last - first), seconds, known))


def _windowed(curves: Curves, view: ChartView, low: float, span: float) -> ChartView:
    """Show `span` steps from `low` on, kept inside the run; follow the latest step if it is among them."""
    first, last = run_steps(curves)
    if span >= (last - first) * (1 - 1e-9):
        return replace(view, zoom=0, window=None)
    low = max(first, low)
    if low + span >= last:
        zoom = round(math.log2((last - first) / span))
        return replace(view, zoom=min(MAX_ZOOM, zoom), window=None)
    return replace(view, window=(low, low + span))
