"""The chart of a learning-rate range test: the loss over the logarithm of the learning rate.

NumPy is imported lazily to keep startup fast.
"""

import math
from collections.abc import Sequence

from cifar_tui.app.charts.axes import linear_axis, log_axis, padded
from cifar_tui.app.charts.curves import finite
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
    framed,
    placeholder,
    tick_count,
)
from cifar_tui.app.charts.view import XUnit
from cifar_tui.engine.optim.lr_range import LrRange, LrSuggestion, RangePoint
from cifar_tui.runs.format import loss_figure, rate_figure

_TITLE = "Loss"
_HEADROOM = 0.25
"""Room above the losses that fall, as a share of how far they fall, for those that rise again."""


def lr_chart(
    points: Sequence[RangePoint],
    suggestion: LrSuggestion | None,
    lr_range: LrRange,
    options: ChartOptions,
) -> Drawing:
    """Draw the loss of each step and the smoothed one, with the suggestion; losses that diverge are cut."""
    import numpy as np

    places = [math.log10(point.learning_rate) for point in points]
    raw = finite([(place, point.loss) for place, point in zip(places, points, strict=True)])
    steps, losses = finite([(place, point.smoothed) for place, point in zip(places, points, strict=True)])
    if len(steps) < 2:
        return placeholder(_TITLE, "Waiting for data", options)
    palette = options.palette
    smoothed = Curve((steps, losses), palette.loss, LINE)
    latest = loss_figure(float(losses[-1])) if suggestion is None else ""
    legend = [LegendEntry(smoothed, ("smoothed", ""), latest)]
    marks = []
    if suggestion is not None:
        for rate, sign, name in (
            (suggestion.minimum, OPEN_DIAMOND, "least"),
            (suggestion.learning_rate, DIAMOND, "suggested"),
        ):
            place = np.array([math.log10(rate)])
            marks.append(Curve((place, np.interp(place, steps, losses)), palette.test, sign))
            legend.append(LegendEntry(marks[-1], (name, ""), rate_figure(rate)))
    least, before = float(losses.min()), float(losses[: int(losses.argmin()) + 1].max())
    top = min(float(losses.max()), before + _HEADROOM * (before - least))
    x_axis = log_axis(lr_range.low, lr_range.high, count=max(2, options.width // 12))
    x_range = XRange(
        unit=XUnit.STEP,
        low=x_axis.low,
        high=x_axis.high,
        ends=np.array([]),
        cursor=None if suggestion is None else math.log10(suggestion.learning_rate),
        axis=x_axis,
        names=("learning rate", "lr"),
    )
    y_axis = linear_axis(*padded(least, top), count=tick_count(options))
    curves = [Curve(raw, palette.loss_raw, DOTS), smoothed, *marks]
    return framed(_TITLE, curves, legend, (x_range, y_axis), options)
