"""What is drawn on a terminal of 256 colours.

Rich rounds each part of a colour to the cube of 6 × 6 × 6 colours, which makes a dark blue teal: most of the
colours between black and dark are among the greys.
"""

import functools

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as TextualColor
from textual.filter import LineFilter

from cifar_tui.app.charts.palette import XTERM

_FIRST = 16
"""The number of the first colour of `XTERM`."""

_WEIGHTS = (2, 4, 3)
"""How much the eye tells red, green and blue apart: https://en.wikipedia.org/wiki/Color_difference#sRGB."""


class NearestColours(LineFilter):
    """Replaces every colour by the most similar one of the terminal."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:
        del background
        return [
            Segment(text, _style(style) if style else style, control) for text, style, control in segments
        ]


@functools.lru_cache(maxsize=1 << 12)
def _style(style: Style) -> Style:
    return style + Style.from_color(_nearest(style.color), _nearest(style.bgcolor))


@functools.lru_cache(maxsize=1 << 12)
def _nearest(color: Color | None) -> Color | None:
    if color is None or color.type is not ColorType.TRUECOLOR:
        return None
    wanted = color.get_truecolor()

    def difference(number: int) -> int:
        parts = zip(_WEIGHTS, wanted, XTERM[number], strict=True)
        return sum(weight * (one - other) ** 2 for weight, one, other in parts)

    return Color.from_ansi(_FIRST + min(range(len(XTERM)), key=difference))
