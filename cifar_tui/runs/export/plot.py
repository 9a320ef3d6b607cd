"""Draw curves with axes, ticks and a legend as SVG.

Own drawing: matplotlib and its fonts are as large as the rest of this program without PyTorch, and smaller
libraries have no ticks or styles a paper needs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from cifar_tui.engine.text import cell_width
from cifar_tui.runs.export.elements import element, figure, svg
from cifar_tui.runs.series import decimate

Point = tuple[float, float]

# Okabe and Ito, "Color Universal Design", without the yellow that white paper hides
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777")
_DASHES = (None, "7 3", "2 2", "9 3 2 3", "5 2 1 2 1 2")
_MARKERS = ("circle", "square", "triangle", "diamond", "cross", "plus")

_MOST_POINTS = 1000
_MARKED = 12
_WIDTH, _PLOT_HEIGHT = 520.0, 260.0
_TOP, _RIGHT, _BOTTOM = 28.0, 24.0, 44.0
_LETTER = 6.4
"""About the width of a letter of 12 px, for the room that a text needs."""
_LEGEND_LINE, _SAMPLE = 18.0, 30.0
_LABELLED_TICKS = 6
_LEAST_RANGE = 1e-290
"""Below it the logarithm of a fifth is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A curve to draw.

    Attributes:
        points: finite (x, y), by x.
        label: for the legend; "" for none.
        style: number of its colour, dashes and markers.
        marks: whether every point is marked, as far as there is room; otherwise a few along the line are.
        faint: thin and pale, as the raw values behind a smoothed line; without marks.
    """

    points: Sequence[Point]
    label: str = ""
    style: int = 0
    marks: bool = False
    faint: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlotTexts:
    """What a plot says: its title, the names of its axes with their units, and a note below it."""

    title: str
    x: str
    y: str
    note: str = ""


def line_plot(texts: PlotTexts, curves: Sequence[Curve]) -> ET.Element:
    """Draw `curves` in one pair of axes; those without points are in the legend only."""
    curves = [_reduced(curve) for curve in curves]
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    low_x, high_x, x_ticks = _range(xs, least=0.0)
    low_y, high_y, y_ticks = _range(ys)
    labels = tick_texts(y_ticks)
    left = 30 + _LETTER * max(map(len, labels))
    width, bottom = _WIDTH - left - _RIGHT, _TOP + _PLOT_HEIGHT

    def across(x: float) -> float:
        return left + width * (x - low_x) / (high_x - low_x)

    def up(y: float) -> float:
        return bottom - _PLOT_HEIGHT * (y - low_y) / (high_y - low_y)

    axes = element("g", stroke="currentColor", stroke_width="1", fill="none")
    grid = element("g", stroke="currentColor", stroke_opacity="0.15")
    words = element("g")
    for tick, label in zip(y_ticks, labels, strict=True):
        y = figure(up(tick))
        axes.append(element("path", d=f"M{figure(left - 4)} {y}H{figure(left)}"))
        grid.append(element("path", d=f"M{figure(left)} {y}H{figure(_WIDTH - _RIGHT)}"))
        words.append(_label(label, left - 7, up(tick) + 4, "end"))
    for tick, label in zip(x_ticks, tick_texts(x_ticks), strict=True):
        axes.append(element("path", d=f"M{figure(across(tick))} {figure(bottom)}v4"))
        words.append(_label(label, across(tick), bottom + 17, "middle"))
    frame = f"M{figure(left)} {figure(_TOP)}V{figure(bottom)}H{figure(_WIDTH - _RIGHT)}"
    axes.append(element("path", d=frame))
    words.append(_label(texts.x, left + width / 2, bottom + 35, "middle"))
    middle = _TOP + _PLOT_HEIGHT / 2
    words.append(_label(texts.y, 13, middle, "middle", transform=f"rotate(-90 13 {figure(middle)})"))
    words.append(_label(texts.title, left, 17, "start", font_weight="bold", font_size="13"))
    if not xs:
        words.append(_label("no data", left + width / 2, middle, "middle"))
    lines = [_line(curve, [(across(x), up(y)) for x, y in curve.points]) for curve in curves]
    legend, height = _legend(curves, left, bottom + _BOTTOM, texts.note)
    return svg(_WIDTH, height, texts.title, grid, axes, *lines, words, legend)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from `low` to `high`, which are finite and differ."""
    raw = (high - low) / max(1, count)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return the labels of ticks, all with as many decimals as one of them needs."""
    texts = [f"{value:,.10g}" for value in values]
    if any("e" in text for text in texts):
        return texts
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [f"{value:,.{decimals}f}" for value in values]


def _range(values: Sequence[float], *, least: float | None = None) -> tuple[float, float, list[float]]:
    """Return the ends of an axis for `values`, and its ticks; the ends are ticks unless `least` is one."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if least is not None:
        low = min(low, least)
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-9 * largest, _LEAST_RANGE):
        room = abs(high) / 10 if largest > _LEAST_RANGE else 1.0
        low, high = (low if least is not None else low - room), high + room
    if least is not None:
        return low, high, ticks(low, high, _LABELLED_TICKS)
    step_ticks = ticks(low, high, _LABELLED_TICKS - 1)
    step = step_ticks[1] - step_ticks[0] if len(step_ticks) > 1 else high - low
    low, high = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
    return low, high, ticks(low, high, round((high - low) / step))


def _reduced(curve: Curve) -> Curve:
    if len(curve.points) <= _MOST_POINTS:
        return curve
    points = decimate(list(curve.points), _MOST_POINTS)
    return Curve(points=points, label=curve.label, style=curve.style, marks=curve.marks, faint=curve.faint)


def _line(curve: Curve, places: Sequence[Point]) -> ET.Element:
    """Draw the curve through `places`; marks are apart from those of other styles."""
    group = element("g", stroke=_colour(curve.style), fill="none", stroke_linejoin="round")
    if len(places) > 1:
        group.append(_path(curve, places))
    if not curve.faint:
        every = max(1, math.ceil(len(places) / _MARKED))
        first = 0 if curve.marks else every * (curve.style % len(_MARKERS)) // len(_MARKERS)
        shown = places if curve.marks and len(places) <= 2 * _MARKED else places[first::every]
        group.extend(_marker(curve.style, x, y) for x, y in shown)
    return group


def _path(curve: Curve, places: Sequence[Point]) -> ET.Element:
    path = element("path", d="M" + "L".join(f"{figure(x)} {figure(y)}" for x, y in places))
    if curve.faint:
        path.attrib |= {"stroke-width": "0.8", "stroke-opacity": "0.35"}
        return path
    path.set("stroke-width", "1.6")
    dashes = _DASHES[curve.style % len(_DASHES)]
    if dashes:
        path.set("stroke-dasharray", dashes)
    return path


def _marker(style: int, x: float, y: float) -> ET.Element:
    colour = _colour(style)
    match _MARKERS[style % len(_MARKERS)]:
        case "circle":
            return element("circle", cx=figure(x), cy=figure(y), r=3.2, fill=colour)
        case "square":
            return element("rect", x=figure(x - 3), y=figure(y - 3), width=6, height=6, fill=colour)
        case "triangle":
            path = f"M{figure(x)} {figure(y - 4)}l4 7h-8z"
        case "diamond":
            path = f"M{figure(x)} {figure(y - 4.4)}l4.4 4.4l-4.4 4.4l-4.4 -4.4z"
        case "cross":
            path = f"M{figure(x - 3)} {figure(y - 3)}l6 6m0 -6l-6 6"
            return element("path", d=path, stroke_width="1.8")
        case _:
            path = f"M{figure(x - 4)} {figure(y)}h8m-4 -4v8"
            return element("path", d=path, stroke_width="1.8")
    return element("path", d=path, fill=colour)


def _legend(curves: Sequence[Curve], left: float, top: float, note: str) -> tuple[ET.Element, float]:
    """Return the legend, and how far down it goes: below the plot, as many lines as it needs."""
    group = element("g")
    x, y = left, top + 10
    for curve in curves:
        if not curve.label:
            continue
        width = _SAMPLE + _LETTER * cell_width(curve.label) + 22
        if x > left and x + width > _WIDTH:
            x, y = left, y + _LEGEND_LINE
        ends = [(x, y - 4), (x + _SAMPLE - 6, y - 4)]
        marker = _marker(curve.style, x + _SAMPLE / 2 - 3, y - 4)
        group.append(element("g", _path(curve, ends), marker, stroke=_colour(curve.style), fill="none"))
        group.append(_label(curve.label, x + _SAMPLE, y, "start"))
        x += width
    if note:
        y += _LEGEND_LINE if x > left else 0
        group.append(_label(note, left, y, "start", font_size="11", fill_opacity="0.75"))
    return group, y + 10


def _colour(style: int) -> str:
    return COLOURS[style % len(COLOURS)]


def _label(text: str, x: float, y: float, anchor: str, **attributes: object) -> ET.Element:
    return element("text", text, x=figure(x), y=figure(y), text_anchor=anchor, **attributes)
