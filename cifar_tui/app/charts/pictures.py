"""Images as half blocks: each cell shows two pixels, one above the other.

Rich falls back to 256 colors where there are no more, and Textual's filter for NO_COLOR to grays. numpy is
imported lazily to keep startup fast.
"""

import functools
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UPPER_HALF = "▀"

_KEPT_BITS, _MIDDLE = 0xFC, 0x02
"""Quantise each channel, off by at most 2 of 255, so that most colours hit the cache."""


def half_blocks(image: "NDArray[np.uint8]", width: int) -> list[Strip]:
    """Draw `image` (uint8, height × width × 3) as rows of `width` cells, half as many if it is square."""
    rows, columns, _ = image.shape
    height = max(1, round(width * rows / columns / 2))
    pixels = resize(image, width, 2 * height) & _KEPT_BITS | _MIDDLE
    return [_line(upper, lower) for upper, lower in zip(pixels[::2], pixels[1::2], strict=True)]


def resize(image: "NDArray[np.uint8]", width: int, height: int) -> "NDArray[np.uint8]":
    """Resize by area: each new pixel is the mean of the area it covers, down to fractions of pixels."""
    import numpy as np

    rows, columns, _ = image.shape
    if (rows, columns) == (height, width):
        return image
    # repeated `height` times, the rows divide evenly into the new ones
    tall = image.repeat(height, axis=0).reshape(height, rows, columns, 3).mean(axis=1)
    small = tall.repeat(width, axis=1).reshape(height, width, columns, 3).mean(axis=2)
    return np.asarray(np.rint(small), dtype=np.uint8)


def _line(upper: "NDArray[np.uint8]", lower: "NDArray[np.uint8]") -> Strip:
    cells = [
        Segment(UPPER_HALF, Style.from_color(_color(*above), _color(*below)))
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True)
    ]
    return Strip(cells, len(cells))


@functools.lru_cache(maxsize=1 << 14)
def _color(red: int, green: int, blue: int) -> Color:
    return Color.from_rgb(red, green, blue)
