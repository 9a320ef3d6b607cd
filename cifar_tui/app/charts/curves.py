"""Curves as text: plain data, a size and colours in, a `rich.text.Text` of exactly that size out.

This is the only file that knows plotext. It is imported with the first chart, so that the first paint of the
screen does not wait for it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.style import Style
from rich.text import Text
from textual.color import Color

from cifar_tui.app.charts.axes import Axis, linear_axis, log_axis, padded, steps_label
from cifar_tui.runs.format import loss_figure
from cifar_tui.runs.series import decimate
from cifar_tui.runs.state import Curves

SMOOTHING_LEVELS = (0.0, 0.6, 0.9, 0.98)
"""Weights of the past in the moving average that a reader can choose from; 0 draws no average."""

MAX_ZOOM = 8
"""The closest zoom shows the last 1 / 2**MAX_ZOOM of the steps."""

_SMALLEST_WIDTH = 20
_SMALLEST_HEIGHT = 5
_RAW_MARKER, _RAW_SIGN = "braille", "⣿"
_LINE_MARKER, _LINE_SIGN = "hd", "▄▀"
_TEST_SIGN = "◆"

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
        """The colours that go with a Textual theme, from `App.theme_variables`."""
        background = Color.parse(variables["background"])
        if background.ansi is not None:  # the terminal's own colours, which are not known here
            return ON_ANY_BACKGROUND
        foreground = Color.parse(variables["foreground"])
        loss = Color.parse(variables["accent"])
        training = Color.parse(variables["primary"]).blend(foreground, 0.25)
        return cls(
            loss=_hex(loss),
            loss_raw=_hex(loss.blend(background, 0.35)),
            training=_hex(training),
            training_raw=_hex(training.blend(background, 0.35)),
            test=_hex(Color.parse(variables["success"])),
            axis=_hex(foreground.blend(background, 0.5)),
            text=_hex(foreground),
        )


ON_ANY_BACKGROUND = Palette(
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
class _Layer:
    """Points of one look: `marker` is plotext's name of a marker, or a single character."""

    points: Points
    marker: str
    colour: str
    joined: bool = True


@dataclass(frozen=True, slots=True)
class _Name:
    """An entry of the legend."""

    sign: str
    colour: str
    text: str
    figure: str = ""


def loss_chart(
    curves: Curves,
    *,
    width: int,
    height: int,
    palette: Palette,
    log_scale: bool = False,
    smoothing: float = 0.9,
    zoom: int = 0,
) -> Text:
    """The loss over the steps: each point faint and, unless `smoothing` is 0, its moving average strong.

    Args:
        curves: what the run recorded.
        width: columns of the chart, its legend and axes included.
        height: rows of it.
        palette: the colours.
        log_scale: whether the vertical axis is logarithmic; losses that are not above 0 are left out then.
        smoothing: weight (0 up to, not including, 1) of the past in the moving average.
        zoom: show only the last 1 / 2**zoom of the steps.
    """
    everything = _finite(curves.loss)
    raw = [point for point in everything if point[1] > 0] if log_scale else everything
    if len(raw) < 2 or _too_small(width, height):
        return _placeholder("Loss", _why_empty(everything, raw, "loss {:.3f}"), width, height, palette)
    low, high = _step_range(curves, zoom)
    line = _since(low, smoothed(raw, smoothing)) if smoothing else []
    visible = _since(low, raw)
    layers = _curve_layers(visible, line, palette.loss_raw, palette.loss, width)
    latest = (line or visible)[-1][1]
    if line:
        names = [
            _Name(_LINE_SIGN, palette.loss, "smoothed", f"{smoothing:g}, now {loss_figure(latest)}"),
            _Name(_RAW_SIGN, palette.loss_raw, "each point"),
        ]
    else:
        names = [_Name(_RAW_SIGN, palette.loss, "each point", loss_figure(latest))]
    legend = _legend("Loss, log" if log_scale else "Loss", names, zoom, width, palette)
    values = [value for _, value in visible]
    loss_axis = log_axis if log_scale else linear_axis
    if log_scale:
        layers = [_logarithmic(layer) for layer in layers]
    return _draw(
        layers,
        linear_axis(low, high, count=_x_tick_count(width), label=steps_label),
        loss_axis(*padded(min(values), max(values)), count=_y_tick_count(height)),
        legend,
        width,
        height,
        palette,
    )


def accuracy_chart(
    curves: Curves,
    *,
    width: int,
    height: int,
    palette: Palette,
    smoothing: float = 0.9,
    zoom: int = 0,
) -> Text:
    """The accuracy over the steps in per cent: training as a line, each evaluation on the test set as a mark.

    The arguments are those of `loss_chart`.
    """
    raw = _percent(curves.train_accuracy)
    tests = _percent(curves.test_accuracy)
    if len(raw) + len(tests) < 2 or _too_small(width, height):
        why = _why_empty(raw + tests, raw + tests, "{:.1f} % right")
        return _placeholder("Accuracy", why, width, height, palette)
    low, high = _step_range(curves, zoom)
    line = _since(low, smoothed(raw, smoothing)) if smoothing else []
    visible, marks = _since(low, raw), _since(low, tests)
    layers = _curve_layers(visible, line, palette.training_raw, palette.training, width)
    layers.append(_Layer(points=decimate(marks, width), marker=_TEST_SIGN, colour=palette.test, joined=False))
    names = []
    if visible:
        latest = (line or visible)[-1][1]
        sign = _LINE_SIGN if line else _RAW_SIGN
        names.append(_Name(sign, palette.training, "training", f"{latest:.1f} %"))
    if tests:
        names.append(_Name(_TEST_SIGN, palette.test, "test", f"{tests[-1][1]:.1f} %"))
    values = [value for _, value in visible + marks]
    bottom, top = padded(min(values), max(values))
    return _draw(
        layers,
        linear_axis(low, high, count=_x_tick_count(width), label=steps_label),
        linear_axis(max(0.0, bottom), min(100.0, top), count=_y_tick_count(height)),
        _legend("Accuracy", names, zoom, width, palette),
        width,
        height,
        palette,
    )


def smoothed(points: Sequence[tuple[float, float]], weight: float) -> Points:
    """The exponential moving average of `points`, corrected for its start at nothing."""
    average, share = 0.0, 0.0
    result = []
    for x, y in points:
        average = weight * average + (1 - weight) * y
        share = weight * share + (1 - weight)
        result.append((x, average / share))
    return result


def _draw(
    layers: list[_Layer], x: Axis, y: Axis, legend: Text, width: int, height: int, palette: Palette
) -> Text:
    import plotext

    # plotext keeps one global figure, and clips it to what it takes for the size of the terminal.
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plotsize(width, height - 1)
    plotext.theme("clear")
    plotext.ticks_color(_rgb(palette.axis))
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for layer in layers:
        draw = plotext.plot if layer.joined else plotext.scatter
        xs, ys = [point[0] for point in layer.points], [point[1] for point in layer.points]
        if xs:
            draw(xs, ys, marker=layer.marker, color=_rgb(layer.colour))
    plotext.xlim(x.low, x.high)
    plotext.ylim(y.low, y.high)
    plotext.xticks(x.ticks, x.labels)
    plotext.yticks(y.ticks, y.labels)
    body = Text.from_ansi(plotext.build().rstrip("\n"))
    plotext.clear_figure()
    return Text("\n", no_wrap=True, end="").join([legend, body])


def _curve_layers(raw: Points, line: Points, raw_colour: str, colour: str, width: int) -> list[_Layer]:
    """The points faint below their average, or strong where there is no average; thinned to the width."""
    thin = decimate(raw, 2 * width)
    if not line:
        return [_Layer(points=thin, marker=_RAW_MARKER, colour=colour)]
    return [
        _Layer(points=thin, marker=_RAW_MARKER, colour=raw_colour, joined=False),
        _Layer(points=decimate(line, 2 * width), marker=_LINE_MARKER, colour=colour),
    ]


def _logarithmic(layer: _Layer) -> _Layer:
    return replace(layer, points=[(x, math.log10(y)) for x, y in layer.points])


def _finite(points: Sequence[tuple[float, float]]) -> Points:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _percent(points: Sequence[tuple[float, float]]) -> Points:
    return [(x, 100 * y) for x, y in _finite(points)]


def _since(step: float, points: Points) -> Points:
    """The points from `step` on, at least the last one."""
    return [point for point in points if point[0] >= step] or points[-1:]


def _step_range(curves: Curves, zoom: int) -> tuple[float, float]:
    """The first and the last step to show, the same for every chart of a run."""
    ends = [
        part[end]
        for part in (curves.loss, curves.train_accuracy, curves.test_accuracy)
        if part
        for end in (0, -1)
    ]
    first, last = min(x for x, _ in ends), max(x for x, _ in ends)
    if first < last / 10:
        first = 0.0
    if first == last:
        return first - 1, last + 1
    return last - (last - first) / 2 ** min(zoom, MAX_ZOOM), last


def _x_tick_count(width: int) -> int:
    return max(2, width // 12)


def _y_tick_count(height: int) -> int:
    return max(2, height // 2 - 1)


def _legend(title: str, names: list[_Name], zoom: int, width: int, palette: Palette) -> Text:
    """One row of exactly `width` columns, with as many of the names and figures as there is room for."""
    if zoom:
        title += f", last {100 / 2**zoom:.3g} %"
    row = Text()
    for shown, figures in ((names, True), (names, False), (names[:1], False), ([], False)):
        row = Text.assemble((f" {title}", Style(color=palette.text, bold=True)))
        for name in shown:
            text = f" {name.text} {name.figure}" if figures and name.figure else f" {name.text}"
            row.append_text(
                Text.assemble("  ", (name.sign, Style(color=name.colour)), (text, Style(color=palette.axis)))
            )
        if row.cell_len <= width:
            break
    row.truncate(width, pad=True)
    return row


def _too_small(width: int, height: int) -> bool:
    return width < _SMALLEST_WIDTH or height < _SMALLEST_HEIGHT


def _why_empty(everything: Points, drawable: Points, form: str) -> str:
    if everything and not drawable:
        return "nothing above 0 to show on a log scale"
    if len(drawable) == 1:
        step, value = drawable[0]
        return f"step {step:,.0f}: {form.format(value)}"
    return "the curve starts with the first steps" if not drawable else "no room for the chart"


def _placeholder(title: str, why: str, width: int, height: int, palette: Palette) -> Text:
    lines = [Text(" " * width) for _ in range(height)]
    if height > 1:
        lines[0] = _legend(title, [], 0, width, palette)
    middle = Text(why, style=Style(color=palette.axis))
    middle.truncate(width)
    middle.align("center", width)
    lines[height // 2] = middle
    return Text("\n", no_wrap=True, end="").join(lines)


def _hex(colour: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour.rgb)


def _rgb(colour: str) -> tuple[int, int, int]:
    return Color.parse(colour).rgb
