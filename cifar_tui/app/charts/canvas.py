"""A grid of cells for braille lines, dots and signs, drawn by plotext: the only module that imports it.

Both plotext and NumPy are imported lazily to keep startup fast. plotext keeps one global figure: draw on one
thread.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.color import Color

from cifar_tui.runs.series import decimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_BRAILLE = "braille"
_COLOURED = re.compile(r"(?:\x1b\[([\d;]*)m)?([^\x1b]*)")
"""The codes of a colour, and the text up to the next one."""

_DASH, _DASH_PERIOD = 4, 6
"""Braille dots of a dash, and from one dash to the next: two cells and a blank one."""

_CONSOLE = Console()


class Canvas:
    """Cells to draw on, in colours as "#rrggbb".

    Positions are shares (0-1) of the width from the left and of the height from the bottom; what lies outside
    is not drawn. In a cell the last drawing covers the others.
    """

    def __init__(self, width: int, height: int) -> None:
        import plotext

        self._width, self._height = width, height
        _set_figure_up()
        plotext.clear_data()
        plotext.plotsize(width, height)
        plotext.xlim(0, 1)
        plotext.ylim(0, 1)

    def dots(self, x: "Numbers", y: "Numbers", colour: str) -> None:
        """Draw a braille dot at each point."""
        import plotext

        xs, ys = self._visible(x, y)
        if xs:
            plotext.scatter(xs, ys, marker=_BRAILLE, color=Color.parse(colour).rgb)

    def line(self, x: "Numbers", y: "Numbers", colour: str) -> None:
        """Draw a braille line through at least one point, in ascending `x`."""
        import plotext

        xs, ys = self._visible(x, y)
        if xs:
            plotext.plot(xs, ys, marker=_BRAILLE, color=Color.parse(colour).rgb)

    def dashes(self, x: "Numbers", y: "Numbers", colour: str) -> None:
        """Draw a dashed braille line through at least one point, in ascending `x`.

        It is drawn as dots: many short lines would take plotext longer than all the rest of a chart.
        """
        import numpy as np
        import plotext

        columns, rows = 2 * self._width - 1, 4 * self._height - 1  # the last braille dot in each direction
        edges = np.clip((np.arange(columns + 2) - 0.5) / columns, x[0], x[-1])
        heights = np.interp(edges, x, y)
        low, high = np.minimum(heights[:-1], heights[1:]), np.maximum(heights[:-1], heights[1:])
        places = np.rint(x * columns).astype(int)
        inside = (places >= 0) & (places <= columns)
        np.minimum.at(low, places[inside], y[inside])
        np.maximum.at(high, places[inside], y[inside])
        dots = np.arange(columns + 1)
        drawn = (dots % _DASH_PERIOD < _DASH) & (edges[1:] > x[0]) & (edges[:-1] < x[-1])
        bottom = np.rint(np.clip(low[drawn], 0, 1) * rows).astype(int)
        counts = np.maximum(1, np.rint(np.clip(high[drawn], 0, 1) * rows).astype(int) - bottom)
        ramp = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        xs = (np.repeat(dots[drawn], counts) / columns).tolist()
        ys = ((np.repeat(bottom, counts) + ramp) / rows).tolist()
        if xs:
            plotext.scatter(xs, ys, marker=_BRAILLE, color=Color.parse(colour).rgb)

    def signs(self, x: "Numbers", y: "Numbers", sign: str, colour: str) -> None:
        """Draw `sign`, a character of one cell, at each point."""
        import plotext

        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        if inside.any():
            xs, ys = x[inside].tolist(), y[inside].tolist()
            plotext.scatter(xs, ys, marker=sign, color=Color.parse(colour).rgb)

    def rule(self, x: "Numbers", sign: str, colour: str) -> None:
        """Fill the columns at `x` with `sign`; draw rules first, so that everything else covers them."""
        import numpy as np

        shares = x[(x >= 0) & (x <= 1)]
        rows = np.linspace(0, 1, self._height)
        self.signs(np.repeat(shares, len(rows)), np.tile(rows, len(shares)), sign, colour)

    def rows(self) -> list[list[Segment]]:
        """Return the segments of each row, from the top."""
        import plotext

        lines = plotext.build().splitlines()[: self._height]
        rows = [_segments(line) for line in lines]
        return [*rows, *([] for _ in range(self._height - len(rows)))]

    def _visible(self, x: "Numbers", y: "Numbers") -> tuple[Sequence[float], Sequence[float]]:
        """The points inside, and of more than can be told apart those that keep every spike."""
        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        points = decimate(list(zip(x[inside].tolist(), y[inside].tolist(), strict=True)), 2 * self._width)
        xs, ys = zip(*points, strict=True) if points else ((), ())
        return xs, ys


@cache
def _set_figure_up() -> None:
    """Leave only the plot of plotext's figure; once, because that takes as long as drawing in it."""
    import plotext

    plotext.clear_figure()
    plotext.limit_size(False, False)  # else it clips the figure to its guess of the terminal's size
    plotext.theme("clear")
    plotext.xaxes(False, False)
    plotext.yaxes(False, False)
    plotext.xticks([])
    plotext.yticks([])


def _segments(line: str) -> list[Segment]:
    """Split a line of `build` into few segments: blanks have no colour, so they go with what is before."""
    runs: list[tuple[str, str]] = []
    for codes, text in _COLOURED.findall(line):
        if runs and (codes == runs[-1][0] or text.isspace() or not text):
            runs[-1] = runs[-1][0], runs[-1][1] + text
        elif text:
            runs.append((codes, text))
    return [Segment(text, _style(codes)) for codes, text in runs]


@cache
def _style(codes: str) -> Style:
    """The style that the codes of an SGR sequence stand for; Rich's decoder takes as long as drawing."""
    return next(iter(Text.from_ansi(f"\x1b[{codes}m ").render(_CONSOLE))).style or Style.null()


def column_of(x: float, width: int) -> int:
    """Return the column of `x` (0-1) among `width`."""
    return round(x * (width - 1))


def row_of(y: float, height: int) -> int:
    """Return the row of `y` (0-1) among `height`, from the top."""
    return round((1 - y) * (height - 1))
