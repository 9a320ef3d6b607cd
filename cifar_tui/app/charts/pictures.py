"""Images as half blocks: a cell shows two pixels, one above the other.

The colours need no care for terminals with fewer of them: Rich maps them to 256, and Textual's filter for
NO_COLOR to greys, in which a picture can still be recognised. numpy is imported with the first picture:
the first frame of the program does not wait for it.
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
"""Of a channel: colours are off by 2 of 255 at most, which nobody sees, and most of them were met before."""


def half_blocks(image: "NDArray[np.uint8]", width: int) -> list[Strip]:
    """The lines of `image` (height, width, 3) as a picture `width` cells wide."""
    pixels = resize(image, width, 2 * picture_height(image, width)) & _KEPT_BITS | _MIDDLE
    return [_line(upper, lower) for upper, lower in zip(pixels[::2], pixels[1::2], strict=True)]


def picture_height(image: "NDArray[np.uint8]", width: int) -> int:
    """How many lines that are: half the width, if the image is a square."""
    rows, columns, _ = image.shape
    return int(max(1, round(width * rows / columns / 2)))


def resize(image: "NDArray[np.uint8]", width: int, height: int) -> "NDArray[np.uint8]":
    """`image` with another number of pixels; each new one is the mean of the area that it covers."""
    import numpy as np

    if image.shape[:2] == (height, width):
        return image
    rows, columns = _box_weights(image.shape[0], height), _box_weights(image.shape[1], width)
    averaged = np.einsum("yh,hwc,xw->yxc", rows, image.astype(np.float64), columns, optimize=True)
    return np.asarray(np.rint(averaged), dtype=np.uint8)


@functools.cache
def _box_weights(old: int, new: int) -> "NDArray[np.float64]":
    """The share of each of `old` pixels in each of `new` ones along one axis; every row adds up to 1."""
    import numpy as np

    edges = np.arange(new + 1) * old / new
    pixels = np.arange(old)
    starts = np.maximum(edges[:-1, None], pixels)
    ends = np.minimum(edges[1:, None], pixels + 1)
    covered = np.clip(ends - starts, 0, None)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), dtype=np.float64)


def _line(upper: "NDArray[np.uint8]", lower: "NDArray[np.uint8]") -> Strip:
    cells = [
        Segment(UPPER_HALF, Style.from_color(_color(*above), _color(*below)))
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True)
    ]
    return Strip(cells, len(cells))


@functools.lru_cache(maxsize=1 << 14)
def _color(red: int, green: int, blue: int) -> Color:
    return Color.from_rgb(red, green, blue)
