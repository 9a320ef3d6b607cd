"""Draw a confusion matrix as SVG."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from cifar_tui.engine.text import cell_width, cut_names
from cifar_tui.runs.export.elements import add, element, figure, svg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHADE = "#0072B2"
MOST_NUMBERED = 25
"""Classes of a matrix whose cells show their counts."""

_SIDE = 480.0
_LEAST_CELL, _MOST_CELL = 5.0, 48.0
_LONGEST_NAME = 20
_LEVELS = 20
_DARKEST = 0.8
"""Opacity of a full cell: the numbers stay legible on it, in black and in white."""
_SCALE_WIDTH, _TITLE_LETTER = 320.0, 7.6
_LEGEND_SHARES = (0.01, 0.1, 0.5, 1.0)


def shade(share: float) -> float:
    """Return the opacity of a cell with `share` (0-1) of its row: its root, so that few mistakes are seen."""
    return _DARKEST * math.sqrt(share)


def confusion_figure(confusion: "NDArray[np.int64]", class_names: Sequence[str], *, title: str) -> ET.Element:
    """Draw `confusion`: a row for each class, a column for each class it was taken for; shape (C, C).

    Cells are shaded by their share of the row; of up to `MOST_NUMBERED` classes each shows its count.
    """
    classes = len(class_names)
    names = cut_names(class_names, _LONGEST_NAME)
    cell = min(_MOST_CELL, max(_LEAST_CELL, _SIDE / classes))
    size = min(12.0, max(4.0, cell * 0.8))
    room = 0.58 * size * max(map(cell_width, names)) + 10
    left, top = 26 + room, 50 + room
    side = cell * classes
    width = max(left + side + 12, left + _SCALE_WIDTH, 24 + _TITLE_LETTER * cell_width(title))
    picture = svg(width, top + side + 40, title)
    add(picture, _text(title, 8, 17, 13, font_weight="bold"))
    middle = top + side / 2
    turned = f"rotate(-90 14 {figure(middle)})"
    add(picture, _text("Truth", 14, middle, 12, text_anchor="middle", transform=turned))
    add(picture, _text("Predicted", left + side / 2, 38, 12, text_anchor="middle"))
    for k, name in enumerate(names):
        y = top + cell * (k + 0.5) + size / 3
        add(picture, _text(name, left - 5, y, size, text_anchor="end"))
        x = left + cell * (k + 0.5) + size / 3
        turned = f"rotate(-90 {figure(x)} {figure(top - 5)})"
        add(picture, _text(name, x, top - 5, size, transform=turned))
    place = f"translate({figure(left)} {figure(top)})"
    frame = element("path", d=f"M0 0H{figure(side)}V{figure(side)}H0z", fill="none", stroke="currentColor")
    add(picture, element("g", *_shades(confusion, cell), *_counts(confusion, cell), frame, transform=place))
    add(picture, _scale(left, top + side + 14))
    return picture


def _shades(confusion: "NDArray[np.int64]", cell: float) -> list[ET.Element]:
    """Return one path for all cells of about the same shade: a matrix of 200 classes stays small."""
    import numpy as np

    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    levels = np.ceil(np.sqrt(shares) * _LEVELS).astype(int)
    paths = []
    for level in range(1, _LEVELS + 1):
        cells = np.argwhere(levels == level).tolist()
        if cells:
            square = f"h{figure(cell)}v{figure(cell)}h{figure(-cell)}z"
            path = "".join(f"M{figure(cell * column)} {figure(cell * row)}{square}" for row, column in cells)
            paths.append(
                element("path", d=path, fill=SHADE, fill_opacity=f"{_DARKEST * level / _LEVELS:.3g}")
            )
    return paths


def _counts(confusion: "NDArray[np.int64]", cell: float) -> list[ET.Element]:
    if len(confusion) > MOST_NUMBERED:
        return []
    longest = len(str(confusion.max()))
    size = min(12.0, cell * 0.5, cell * 1.5 / longest)
    return [
        _text(str(count), cell * (column + 0.5), cell * (row + 0.5) + size / 3, size, text_anchor="middle")
        for row, line in enumerate(confusion.tolist())
        for column, count in enumerate(line)
        if count
    ]


def _scale(x: float, y: float) -> ET.Element:
    """Return what the shades mean."""
    group = element("g", _text("share of the row", x, y + 10, 11))
    x += 98
    for share in _LEGEND_SHARES:
        box = element("rect", x=figure(x), y=figure(y), width=12, height=12)
        box.attrib |= {"fill": SHADE, "fill-opacity": f"{shade(share):.3g}", "stroke": "currentColor"}
        box.set("stroke-width", "0.5")
        add(group, box, _text(f"{100 * share:.0f} %", x + 16, y + 10, 11))
        x += 54
    return group


def _text(text: str, x: float, y: float, size: float, **attributes: object) -> ET.Element:
    return element("text", text, x=figure(x), y=figure(y), font_size=figure(size), **attributes)
