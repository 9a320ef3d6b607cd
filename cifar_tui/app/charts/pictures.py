"""Images as half blocks: each cell shows two pixels, one above the other.

Rich falls back to 256 colors where there are no more, and Textual's filter for NO_COLOR to grays. NumPy and
Pillow are imported lazily to keep startup fast.
"""

import functools
from typing import TYPE_CHECKING

from rich.color import Color, ColorType
from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cifar_tui.app.charts.palette import XTERM

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UPPER_HALF = "▀"

_KEPT_BITS, _MIDDLE = 0xFC, 0x02
"""Quantise each channel, off by at most 2 of 255, so that most colours hit the cache."""


def has_few_colours(console: Console) -> bool:
    """Whether pictures on `console` need dithering; NO_COLOR does not, whose grays are many."""
    return console.color_system != "truecolor" and not console.no_color


def half_blocks(image: "NDArray[np.uint8]", width: int, *, dithered: bool = False) -> list[Strip]:
    """Draw `image` (uint8, height × width × 3) as rows of `width` cells, half as many if it is square.

    Where the terminal has 256 colours, `dithered` pictures keep their shades: the nearest colours alone would
    make stains of a cat.
    """
    import numpy as np

    rows, columns, _ = image.shape
    height = max(1, round(width * rows / columns / 2))
    pixels = resize(image, width, 2 * height)
    pixels = _dither(pixels) if dithered else (pixels & _KEPT_BITS | _MIDDLE).astype(np.uint8)
    return [_line(upper, lower) for upper, lower in zip(pixels[::2], pixels[1::2], strict=True)]


def _dither(pixels: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Replace the colours by those of an xterm, with the error spread over the neighbours."""
    import numpy as np
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette([part for color in XTERM for part in color])
    drawn = Image.fromarray(pixels).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(drawn.convert("RGB"))


def resize(image: "NDArray[np.uint8]", width: int, height: int) -> "NDArray[np.uint8]":
    """Resize with Pillow's Lanczos filter: sharper than means, so that a small cat is still one."""
    import numpy as np
    from PIL import Image

    rows, columns, _ = image.shape
    if (rows, columns) == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _line(upper: "NDArray[np.uint8]", lower: "NDArray[np.uint8]") -> Strip:
    cells = [
        Segment(UPPER_HALF, Style.from_color(_color(*above), _color(*below)))
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True)
    ]
    return Strip(cells, len(cells))


@functools.lru_cache(maxsize=1 << 14)
def _color(red: int, green: int, blue: int) -> Color:
    # `Color.from_rgb` takes most of its time for the name
    return Color("", ColorType.TRUECOLOR, triplet=ColorTriplet(red, green, blue))
