"""Charts of how far confidence can be trusted: accuracy by confidence, and by the share of images kept.

NumPy is imported lazily to keep startup fast.
"""

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cifar_tui.app.charts.axes import Axis, evenly_spaced, linear_axis, padded, x_axis_rows, y_axis_rows
from cifar_tui.app.charts.canvas import Canvas
from cifar_tui.app.charts.frame import Drawing
from cifar_tui.app.charts.palette import Palette
from cifar_tui.engine.evaluation.statistics import CALIBRATION_BINS, Calibration, CalibrationBin

if TYPE_CHECKING:
    from cifar_tui.app.charts.canvas import Numbers

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_CONFIDENCE = "━"
_COUNTS = "images"
_COUNT_CELLS = 5
"""Cells of a bar from which its count is written below it."""
_LEAST_WIDTH, _LEAST_HEIGHT = 20, 7
_FEW_POINTS = 24


def reliability_chart(
    calibration: Calibration, width: int, height: int, palette: Palette, *, bins: int = CALIBRATION_BINS
) -> Drawing:
    """Draw the accuracy in each bin of confidence as a bar, against a line at its mean confidence.

    A bar above its line says that the network is right more often than it believes, one below it less often.
    Under the bars are the numbers of images.

    Args:
        calibration: with `bins` bins, of which the empty ones are left out.
        width: columns of the drawing.
        height: its rows.
        palette: the colours.
        bins: number of bins.
    """
    label_width = len(_COUNTS) if width >= bins * 2 + len(_COUNTS) + 1 else len("100")
    cell = min((width - label_width - 1) // bins, 12)
    if cell < 1 or height < _LEAST_HEIGHT or width < _LEAST_WIDTH:
        return _no_room(width, height, palette)
    plot_width, rows = cell * bins, height - 4
    by_place = {round(entry.low * bins): entry for entry in calibration.bins}
    lines = [_bar_row(by_place, row, rows, cell, bins, palette) for row in reversed(range(rows))]
    ticks = [0.0, 50.0, 100.0] if rows >= 5 else [0.0, 100.0]
    percent = Axis(low=0.0, high=100.0, ticks=ticks, labels=[f"{tick:.0f}" for tick in ticks])
    style = Style(color=palette.axis)
    title = [Segment(" Reliability (%) ", Style(color=palette.text, bold=True))]
    legend = [
        Segment(" █", Style(color=palette.training)),
        Segment(" accuracy ", style),
        Segment(f" {_CONFIDENCE}", Style(color=palette.text, bold=True)),
        Segment(" confidence", style),
    ]
    has_title = sum(segment.cell_length for segment in (*title, *legend)) <= width
    strips = [
        Strip([*title, *legend] if has_title else legend),
        *y_axis_rows(lines, percent, label_width, style),
        *x_axis_rows(percent, ("confidence",), None, (label_width, plot_width), style),
        _count_row(by_place, label_width, cell, bins, palette),
    ]
    return Drawing(lines=[strip.adjust_cell_length(width) for strip in strips])


def _bar_row(
    by_place: dict[int, CalibrationBin], row: int, rows: int, cell: int, bins: int, palette: Palette
) -> list[Segment]:
    """Row `row` from the bottom of the bars."""
    segments = []
    gap = " " * (cell >= 3)
    bar, mark = Style(color=palette.training), Style(color=palette.text, bold=True)
    for place in range(bins):
        entry = by_place.get(place)
        width = cell - len(gap)
        if entry is None:
            segments.append(Segment(" " * cell))
            continue
        level = max(1, round(entry.accuracy * rows * 8))  # an accuracy of 0 is drawn, too
        eighths = max(0, min(8, level - 8 * row))
        if min(rows - 1, int(entry.confidence * rows)) == row:
            style = mark + Style(bgcolor=palette.training) if eighths == 8 else mark
            segments.append(Segment(_CONFIDENCE * width, style))
        else:
            segments.append(Segment(_EIGHTHS[eighths] * width, bar))
        segments.append(Segment(gap))
    return segments


def _count_row(
    by_place: dict[int, CalibrationBin], label_width: int, cell: int, bins: int, palette: Palette
) -> Strip:
    """The images in each bin: as numbers, or as low bars where these have no room."""
    label = _COUNTS if label_width >= len(_COUNTS) else "n"
    most = max((entry.count for entry in by_place.values()), default=1)
    segments = [Segment(f"{label:>{label_width}} ", Style(color=palette.axis))]
    style = Style(color=palette.axis)
    for place in range(bins):
        count = by_place[place].count if place in by_place else 0
        if cell >= _COUNT_CELLS:
            text = f"{_short(count) if count else '':^{cell - 1}} "
        else:
            level = max(1, round(8 * count / most)) if count else 0
            width = cell - (cell >= 3)
            text = f"{_EIGHTHS[level] * width:<{cell}}"
        segments.append(Segment(text, style))
    return Strip(segments)


def _short(count: int) -> str:
    """Format a count in four cells: `950`, `1.2k`, `25k`, `1.5M`."""
    for unit, suffix in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:.1f}{suffix}" if count < 10 * unit else f"{count // unit}{suffix}"
    return str(count)


def coverage_chart(
    shares: "Numbers", accuracies: "Numbers", width: int, height: int, palette: Palette
) -> Drawing:
    """Draw the accuracy over the most confident images against the share of images kept.

    Args:
        shares: of the images kept, from 0 to 1, ascending.
        accuracies: over them, from 0 to 1.
        width: columns of the drawing.
        height: its rows.
        palette: the colours.
    """
    import numpy as np

    if height < _LEAST_HEIGHT - 1 or width < _LEAST_WIDTH:
        return _no_room(width, height, palette)
    style = Style(color=palette.axis)
    title = Segment(" Accuracy (%) of the images kept", Style(color=palette.text, bold=True))
    if len(shares) < 2:
        text = "All images have the same confidence" if len(shares) else "No images"
        return _centred(text, title, width, height, palette)
    values = 100 * accuracies
    rows = height - 3
    low, high = padded(float(values.min()), float(values.max()))
    y_axis = evenly_spaced(linear_axis(low, high, count=max(2, rows // 3)), rows)
    label_width = max(map(len, y_axis.labels))
    plot_width = width - label_width - 1
    canvas = Canvas(plot_width, rows)
    heights = np.clip((values - low) / (high - low), 0, 1)
    canvas.line(shares, heights, palette.test)
    if len(shares) <= _FEW_POINTS:
        canvas.signs(shares, heights, "•", palette.test)
    x_axis = linear_axis(0.0, 100.0, count=max(2, plot_width // 12))
    strips = [
        Strip([title]),
        *y_axis_rows(canvas.rows(), y_axis, label_width, style),
        *x_axis_rows(x_axis, ("% of images kept", "% kept"), None, (label_width, plot_width), style),
    ]
    return Drawing(lines=[strip.adjust_cell_length(width) for strip in strips])


def _no_room(width: int, height: int, palette: Palette) -> Drawing:
    return _centred("No room (m: maximise)", Segment(""), width, height, palette)


def _centred(text: str, title: Segment, width: int, height: int, palette: Palette) -> Drawing:
    lines = [Strip.blank(width)] * max(1, height)
    lines[0] = Strip([title]).adjust_cell_length(width)
    shown = Segment(text.center(width), Style(color=palette.axis))
    lines[len(lines) // 2] = Strip([shown]).adjust_cell_length(width)
    return Drawing(lines=lines)
