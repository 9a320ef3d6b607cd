"""The axes of a chart: ranges and a few round ticks."""

import math
from collections.abc import Callable
from dataclasses import dataclass


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
    """Build an axis of about `count` ticks, labelled by `label` or as plain numbers."""
    ticks = round_ticks(low, high, count)
    labels = [label(tick) for tick in ticks] if label else _number_labels(ticks)
    return Axis(low=low, high=high, ticks=ticks, labels=labels)


def log_axis(low: float, high: float, *, count: int) -> Axis:
    """Build a log10 axis with round ticks in a narrow range and powers of ten in a wide one."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if high / low < 10:
        ticks = round_ticks(low, high, count)
    elif 3 * len(powers) <= count:
        ticks = [factor * 10.0**power for power in (powers[0] - 1, *powers) for factor in (1, 2, 5)]
    else:
        ticks = [10.0**power for power in powers[:: math.ceil(len(powers) / count)]]
    ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    return Axis(
        low=math.log10(low),
        high=math.log10(high),
        ticks=[math.log10(tick) for tick in ticks],
        labels=[f"{tick:g}" for tick in ticks],
        is_log=True,
    )


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


def step_range_label(first: float, last: float) -> str:
    """Format a range of steps, as in `73.8k–75k`, with as few digits as tell its ends apart."""
    labels = (step_label(first), step_label(last))
    for digits in (5, 4, 3):
        shorter = (step_label(first, digits), step_label(last, digits))
        labels = shorter if shorter[0] != shorter[1] else labels
    return "–".join(labels)
