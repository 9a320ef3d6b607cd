"""The nearest training images side by side, each above its class, its similarity and its file."""

from collections.abc import Sequence
from dataclasses import replace

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cifar_tui.app.charts.gallery import GridLayout, PictureCache, caption, grid_layout, grid_lines
from cifar_tui.app.charts.palette import Palette
from cifar_tui.engine.text import cell_width, escaped, escaped_name
from cifar_tui.runs.nearest import MOST_NEAREST, NearestImages

DIFFERENT = "≠"
"""Marks a class that is not the GroundTruth of the image that they are near to."""

_ENOUGH, _RECOGNISABLE, _NATIVE = 4, 13, 32
"""Pictures that say enough together, and the widths at which one shows what it is, and all its pixels."""

_MOST_ROWS = 3

_SHORT_FIGURES = 16
"""Cells of a picture below which the similarity has a digit less."""


def nearest_layout(width: int, height: int) -> GridLayout:
    """Lay out a few large pictures rather than many small ones, but enough if these are recognisable."""
    layouts = (
        (rows, grid_layout(width, height // rows, columns))
        for rows in range(1, _MOST_ROWS + 1)
        for columns in range(1, MOST_NEAREST + 1)
    )
    return max((replace(layout, rows=rows * layout.rows) for rows, layout in layouts), key=_worth)


def _worth(layout: GridLayout) -> tuple[bool, int, int]:
    count = min(layout.per_page, MOST_NEAREST)
    size = min(layout.picture, _NATIVE)
    return size >= _RECOGNISABLE, min(count, _ENOUGH), count * size**2


def nearest_lines(
    found: NearestImages, truth: str, layout: GridLayout, pictures: PictureCache, palette: Palette
) -> list[Strip]:
    """Draw as many of `found` as fit.

    Args:
        found: the training images.
        truth: the class of the image that they are near to.
        layout: places for pictures.
        pictures: those of `found`.
        palette: the colours.
    """
    count = min(layout.per_page, len(found.images))
    cells = [_cell(found, place, truth, layout, pictures, palette) for place in range(count)]
    return grid_lines(cells, layout.columns)


def _cell(
    found: NearestImages,
    place: int,
    truth: str,
    layout: GridLayout,
    pictures: PictureCache,
    palette: Palette,
) -> Sequence[Strip]:
    near, width = found.images[place], layout.picture
    name = found.class_names[near.target]
    mark, style = "", Style(color=palette.text)
    if name != truth:
        mark, style = f"{DIFFERENT} ", Style(color=palette.loss, bold=True)
    faint = Style(color=palette.axis)
    similarity = f"{near.similarity:.{2 if width < _SHORT_FIGURES else 3}f}"
    where = escaped(near.file or f"{near.position:,}")
    if cell_width(where) + len(similarity) >= width:  # its folder is that of the class
        where = where.rpartition("/")[2]
    below = [
        caption(mark, escaped_name(name), "", width, (style, style)),
        caption("", where, similarity, width, (faint, style)),
    ]
    before, after = Strip([Segment(" ")]), Strip.blank(layout.gap - 1)
    return [Strip.join([before, line, after]) for line in (*pictures.lines(place, width), *below)]
