"""Predictions as text: pictures and bars for a terminal, columns for everything else."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.segment import Segment, Segments
from rich.style import Style

from cifar_tui.cli.console import SafeConsole
from cifar_tui.engine.text import cell_width, cut_names, escaped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cifar_tui.engine.evaluation.predict import PredictedFiles

PICTURE_WIDTHS = (64, 32, 24, 20, 16)
"""Widths of a picture in cells. Only one alone is wider than 32."""

_LONGEST_NAME = 24
_GAP = 2
_PERCENT_WIDTH = 7
_SHORTEST_BAR, _LONGEST_BAR = 10, 40
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL, _ASCII_FULL = "█", "#"
_PATH, _FIRST, _OTHER = Style(bold=True), Style(bold=True, color="cyan"), Style(color="cyan")
_COLOURS = {"256", "truecolor"}
"""With fewer, a picture in shades of one shows more."""
_SHADES = " ░▒▓█"


class Columns:
    """Prints a line for each image: classes with their confidences, then the path."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = _padded(class_names)

    def write(self, batch: "PredictedFiles") -> None:
        """Print a batch."""
        rows = zip(batch.paths, batch.classes.tolist(), batch.confidences.tolist(), strict=True)
        for path, classes, confidences in rows:
            cells = [
                f"{self._names[index]} {_percent(confidence)}"
                for index, confidence in zip(classes, confidences, strict=True)
            ]
            print("  ".join([*cells, escaped(str(path))]))
        sys.stdout.flush()


class Blocks:
    """Prints a block for each image: the path, the picture, and the classes as bars beside it.

    Args:
        class_names: the names.
        pictures: whether to show what the network saw.
        alone: whether there is only one image.
    """

    def __init__(self, class_names: Sequence[str], *, pictures: bool, alone: bool) -> None:
        self._console = SafeConsole(highlight=False)
        self._names = _padded(class_names)
        utf_8 = self._console.encoding.startswith("utf")
        self._full, self._eighths = (_FULL, _EIGHTHS) if utf_8 else (_ASCII_FULL, " ")
        self._name_width = cell_width(self._names[0])
        self._picture_width = self._fitting_width(alone=alone) if pictures and utf_8 else 0
        self._coloured = not self._console.no_color and self._console.color_system in _COLOURS

    def write(self, batch: "PredictedFiles") -> None:
        """Print a batch."""
        pixels = batch.pixels.transpose(0, 2, 3, 1)
        rows = zip(batch.paths, pixels, batch.classes.tolist(), batch.confidences.tolist(), strict=True)
        for path, picture, classes, confidences in rows:
            block = Segments(list(self._block(path, picture, classes, confidences)))
            self._console.print(block, end="", crop=False, soft_wrap=True)

    def _fitting_width(self, *, alone: bool) -> int:
        """Return the width of a picture with room for bars beside it; 0 if there is none."""
        size = self._console.size
        text = self._name_width + 1 + _SHORTEST_BAR + 1 + _PERCENT_WIDTH
        fitting = [width for width in PICTURE_WIDTHS if width + _GAP + text <= size.width]
        if not alone or PICTURE_WIDTHS[0] // 2 + 4 > size.height:  # path, blank line, prompt
            fitting = [width for width in fitting if width != PICTURE_WIDTHS[0]]
        return fitting[0] if fitting else 0

    def _block(
        self, path: Path, picture: "NDArray[np.uint8]", classes: list[int], confidences: list[float]
    ) -> Iterator[Segment]:
        pictured = self._picture(picture) if self._picture_width else []
        bars = [
            self._bar(index, confidence, _OTHER if place else _FIRST)
            for place, (index, confidence) in enumerate(zip(classes, confidences, strict=True))
        ]
        yield Segment(escaped(str(path)), _PATH)
        yield Segment.line()
        for row in range(max(len(pictured), len(bars))):
            if pictured:
                yield from pictured[row] if row < len(pictured) else [Segment(" " * self._picture_width)]
                yield Segment(" " * _GAP)
            if row < len(bars):
                yield from bars[row]
            yield Segment.line()
        yield Segment.line()

    def _bar(self, index: int, confidence: float, style: Style) -> list[Segment]:
        width = self._console.width - (self._picture_width + _GAP if self._picture_width else 0)
        room = max(1, min(_LONGEST_BAR, width - self._name_width - 1 - 1 - _PERCENT_WIDTH))
        steps = len(self._eighths)
        full, part = divmod(round(confidence * room * steps), steps)
        bar = self._full * full + (self._eighths[part] if part else "")
        return [
            Segment(f"{self._names[index]} ", Style(bold=style.bold)),
            Segment(bar.ljust(room), style),
            Segment(f" {_percent(confidence)}", Style(bold=style.bold)),
        ]

    def _picture(self, picture: "NDArray[np.uint8]") -> list[list[Segment]]:
        if not self._coloured:
            return [[Segment(line)] for line in shades(picture, self._picture_width)]
        from cifar_tui.app.charts.pictures import half_blocks, has_few_colours

        return [
            list(strip)
            for strip in half_blocks(picture, self._picture_width, dithered=has_few_colours(self._console))
        ]


def shades(picture: "NDArray[np.uint8]", width: int) -> list[str]:
    """Draw `picture`, uint8 (H, H, 3), as rows of `width` characters from blank to a full block."""
    import numpy as np
    from PIL import Image, ImageOps

    grey = Image.fromarray(picture).convert("L")
    # half way to equally many pixels of each shade: forms matter, not how dark the picture is
    clear = Image.blend(ImageOps.autocontrast(grey), ImageOps.equalize(grey), 0.5)
    palette = Image.new("P", (1, 1))
    palette.putpalette([255 * level // (len(_SHADES) - 1) for level in range(len(_SHADES)) for _ in "RGB"])
    small = clear.resize((width, width // 2), Image.Resampling.LANCZOS).convert("RGB")
    levels = np.asarray(small.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG))
    return ["".join(_SHADES[level] for level in row) for row in levels.tolist()]


def _padded(names: Sequence[str]) -> list[str]:
    """Return `names` of equal width; long ones are cut."""
    shown = cut_names(names, _LONGEST_NAME)
    width = max(map(cell_width, shown))
    return [name + " " * (width - cell_width(name)) for name in shown]


def _percent(confidence: float) -> str:
    return f"{100 * confidence:5.1f} %"
