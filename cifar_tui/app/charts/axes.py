"""The axes of a chart: ranges, a few round ticks, and how they are drawn."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cifar_tui.app.charts.canvas import column_of, row_of
from cifar_tui.runs.format import duration

CURSOR_FOOT = "▲"

_MANY_ROWS = 10
"""Rows from which labels are even enough if one is a row off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """The range of an axis and its ticks: log10 of the values if `is_log`."""

    low: float
    high: float
    ticks: list[float]
    labels: list[str]
    is_log: bool = False


def round_ticks(low: float, high: float, count: int) -> list[float]:
    """Choose about `count` round numbers from `low` to `high`, at steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(1, count)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def padded(low: float, high: float) -> tuple[float, float]:
    """Widen an empty range."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    margin = abs(high) / 10 or 1.0
    return low - margin, high + margin


def linear_axis(low: float, high: float, *, count: int, label: Callable[[float], str] | None = None) -> Axis:
    """Build an axis of about `count` round ticks, or two at its ends, labelled by `label` or as numbers."""
    ticks = round_ticks(low, high, count)
    if len(ticks) < 2 < count:
        ticks = round_ticks(low, high, 2 * count)
    if not 2 <= len(ticks) <= count + 1:
        return Axis(low=low, high=high, ticks=[low, high], labels=[f"{end:.3g}" for end in (low, high)])
    labels = [label(tick) for tick in ticks] if label else _number_labels(ticks)
    return Axis(low=low, high=high, ticks=ticks, labels=labels)


def log_axis(low: float, high: float, *, count: int) -> Axis:
    """Build a log10 axis with round ticks in a narrow range and powers of ten in a wide one; two at least."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if high / low < 10:
        ticks = round_ticks(low, high, count)
    elif 3 * len(powers) <= count or len(powers) < 2:
        ticks = [factor * 10.0**power for power in (powers[0] - 1, *powers) for factor in (1, 2, 5)]
    else:
        ticks = [10.0**power for power in powers[:: min(len(powers) - 1, math.ceil(len(powers) / count))]]
    ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    if len(powers) < 2:
        ticks = ticks[:: math.ceil(len(ticks) / (count + 1)) or 1]
    if len(ticks) < 2:
        ticks = [tick for tick in round_ticks(low, high, 2 * count) if tick > 0]
    labels = [f"{tick:g}" for tick in ticks]
    if len(ticks) < 2:
        ticks, labels = [low, high], [f"{end:.3g}" for end in (low, high)]
    return Axis(
        low=math.log10(low),
        high=math.log10(high),
        ticks=[math.log10(tick) for tick in ticks],
        labels=labels,
        is_log=True,
    )


def evenly_spaced(axis: Axis, rows: int) -> Axis:
    """Drop ticks until the rest are evenly spaced on `rows` rows; one row more or less is even on many."""
    places = [row_of((tick - axis.low) / (axis.high - axis.low), rows) for tick in axis.ticks]
    parts = [slice(start, None, stride) for stride in range(1, len(places) - 1) for start in range(stride)]
    outermost = slice(None, None, max(1, len(places) - 1))
    kept = next((part for part in parts if _are_even(places[part], rows)), outermost)
    return replace(axis, ticks=axis.ticks[kept], labels=axis.labels[kept])


def _are_even(places: list[int], rows: int) -> bool:
    """Whether the distances between three or more rows look equal."""
    gaps = [lower - upper for lower, upper in pairwise(places)]
    if len(gaps) < 2 or min(gaps) == 0:
        return False
    return max(gaps) - min(gaps) <= (rows >= _MANY_ROWS and min(gaps) > 1)


def _number_labels(ticks: list[float]) -> list[str]:
    """Format the ticks with as many decimals as one of them needs, or all in scientific notation."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if largest and not 1e-3 <= largest < 1e6:
        return [f"{tick:.1e}" for tick in ticks]
    decimals = next(
        (n for n in range(6) if all(math.isclose(round(t, n), t, abs_tol=1e-9) for t in ticks)), 6
    )
    return [f"{tick:.{decimals}f}" for tick in ticks]


def step_label(step: float, digits: int = 6) -> str:
    """Format a step as `500`, `12.5k` or `3M`, rounded to `digits` (at most 6) significant digits."""
    step = float(f"{step:.{digits}g}")
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(step) >= unit:
            return f"{step / unit:g}{suffix}"
    return f"{step:g}"


def range_label(first: float, last: float) -> str:
    """Format a range of steps or epochs, as in `73.8k–75k`, with as few digits as tell its ends apart."""
    labels = (step_label(first), step_label(last))
    for digits in (5, 4, 3):
        shorter = (step_label(first, digits), step_label(last, digits))
        labels = shorter if shorter[0] != shorter[1] else labels
    return "–".join(labels)


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_TIME_TICKS = (
    *(1, 2, 5, 10, 15, 30),
    *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 3, 6, 12)),
)


def time_axis(low: float, high: float, *, count: int) -> Axis:
    """Build an axis of seconds with about `count` ticks at round times."""
    rough = (high - low) / max(1, count)
    if rough <= _TIME_TICKS[0] / 2:
        ticks = round_ticks(low, high, count)
    else:
        days = math.ceil(rough / _DAY) * _DAY
        step = next((seconds for seconds in _TIME_TICKS if seconds >= rough * (1 - 1e-9)), days)
        ticks = [float(index * step) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return Axis(low=low, high=high, ticks=ticks, labels=[time_label(tick) for tick in ticks])


def time_label(seconds: float) -> str:
    """Format as `45 s`, `3 m`, `1 m 30 s` or `1 h 05 m`: only the units that are not zero."""
    if seconds < _MINUTE:
        return f"{seconds:.4g} s" if seconds else "0"
    text = duration(seconds)
    return text.removesuffix(" 00 s").removesuffix(" 00 m")


def y_axis_rows(rows: list[list[Segment]], axis: Axis, label_width: int, style: Style) -> list[Strip]:
    """Put the axis and its labels in front of the rows of a plot."""
    labels = {
        row_of((tick - axis.low) / (axis.high - axis.low), len(rows)): label
        for tick, label in zip(axis.ticks, axis.labels, strict=True)
    }
    fronts = [
        f"{labels[y]:>{label_width}}┤" if y in labels else f"{'│':>{label_width + 1}}"
        for y in range(len(rows))
    ]
    return [Strip([Segment(front, style), *row]) for front, row in zip(fronts, rows, strict=True)]


def x_axis_rows(
    axis: Axis, names: Sequence[str], foot: int | None, widths: tuple[int, int], style: Style
) -> list[Strip]:
    """Draw the axis with its ticks, and below it their labels and the axis' name, as far as they fit.

    Args:
        axis: the range and the ticks.
        names: of the axis, from the longest, for its right end; the first that leaves room for most labels.
        foot: the column of the cursor in the plot; None without one.
        widths: of the labels of the other axis, and of the plot.
        style: of everything.
    """
    left, width = widths[0] + 1, widths[1]
    most = len(_x_labels(axis, left, width, left + width))
    for name in (*names, ""):
        shown = _x_labels(axis, left, width, left + width - len(name) - bool(name))
        if 2 * len(shown) > most:
            break
    line, labels = ["─"] * width, [" "] * (left + width)
    labels[len(labels) - len(name) :] = name
    for column, start, label in shown:
        line[column] = "┬"
        labels[start : start + len(label)] = label
    if foot is not None:
        line[foot] = CURSOR_FOOT
    return [
        Strip([Segment(f"{'└':>{left}}" + "".join(line), style)]),
        Strip([Segment("".join(labels), style)]),
    ]


def _x_labels(axis: Axis, left: int, width: int, end: int) -> list[tuple[int, int, str]]:
    """Return the column of each tick in the plot, its label's start, and its label, as far as they fit."""
    shown: list[tuple[int, int, str]] = []
    free = 0
    for tick, label in zip(axis.ticks, axis.labels, strict=True):
        column = column_of((tick - axis.low) / (axis.high - axis.low), width)
        start = max(0, min(left + column - len(label) // 2, left + width - len(label)))
        if free <= start and start + len(label) <= end:
            shown.append((column, start, label))
            free = start + len(label) + 1
    return shown
