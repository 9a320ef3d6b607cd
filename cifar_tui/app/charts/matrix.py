"""The confusion matrix as lines: the rows and columns that fit, with headings that stay.

NumPy is imported lazily to keep startup fast.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from cifar_tui.app.charts.palette import Palette, xterm_shades
from cifar_tui.engine.text import cell_width, cut, cut_names, escaped_name, fitting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST_NAME = 14
_LEAST_CELL, _WIDEST_CELL = 4, 9
_LEAST_CUT = 5
"""Columns of a name from which it is cut with an ellipsis."""
_EMPTY = "·"
_DARKEST = 0.5
"""Share of a colour in the shade of a whole row: text must stay legible on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixWindow:
    """Which cells are shown, and where the cursor is.

    Attributes:
        first_row: the first row shown.
        first_column: the first column shown.
        row: the row of the cursor.
        column: the column of the cursor.
    """

    first_row: int = 0
    first_column: int = 0
    row: int = 0
    column: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixLayout:
    """How many cells fit, and how wide they are.

    Attributes:
        name_width: columns of the names at the left.
        cell_width: columns of a cell.
        rows: rows that fit.
        columns: columns that fit.
    """

    name_width: int
    cell_width: int
    rows: int
    columns: int

    @property
    def width(self) -> int:
        """The columns of the whole drawing."""
        return self.name_width + 1 + self.columns * self.cell_width


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixStyle:
    """How to draw the cells.

    Attributes:
        palette: the colours.
        background: what a shade is mixed with; None if it is not known, and then nothing is shaded.
        per_cent: whether to write shares of the row in per cent instead of counts.
        few_colours: whether the terminal has 256 colours.
    """

    palette: Palette
    background: Color | None
    per_cent: bool
    few_colours: bool = False

    def of_cell(self, share: float, *, is_right: bool) -> Style:
        """Return the style of a cell with `share` (0-1) of its row, on the diagonal or beside it."""
        palette = self.palette
        if not share:
            return Style(color=palette.axis)
        if self.background is None:
            return Style(color=palette.text, bold=is_right)
        # the square root tells the small shares apart, which most mistakes are
        weight = math.sqrt(share)
        if self.few_colours:
            greys, text = xterm_shades(self.background)
            if not greys:
                return Style(color=text.hex6, bold=is_right)
            shade = greys[min(int(weight * len(greys)), len(greys) - 1)]
            return Style(color=text.hex6, bgcolor=shade.hex6, bold=is_right)
        hue = Color.parse(palette.test if is_right else palette.loss)
        shade = self.background.blend(hue, _DARKEST * weight)
        return Style(color=palette.text, bgcolor=shade.hex6, bold=is_right)


def matrix_layout(
    confusion: "NDArray[np.int64]", class_names: Sequence[str], width: int, height: int
) -> MatrixLayout:
    """Fit as many whole cells into `width` × `height` as possible, and make them wider where all fit."""
    classes = len(class_names)
    name_width = max(map(cell_width, cut_names(class_names, _LONGEST_NAME)), default=0)
    largest = max(len(str(int(confusion.max()))) if confusion.size else 1, len("100"))
    least = max(_LEAST_CELL, largest + 1)
    room = max(0, width - name_width - 1)
    cell = min(max(_WIDEST_CELL, least), max(least, room // max(1, classes)))
    return MatrixLayout(
        name_width=name_width,
        cell_width=cell,
        rows=max(0, min(classes, height - 1)),
        columns=min(classes, room // cell),
    )


def scrolled(window: MatrixWindow, layout: MatrixLayout, classes: int) -> MatrixWindow:
    """Return `window` with its cursor in the matrix and on the screen."""

    def first(cursor: int, start: int, fits: int) -> int:
        return max(0, min(max(start, cursor - fits + 1), cursor, classes - fits))

    row, column = (max(0, min(place, classes - 1)) for place in (window.row, window.column))
    return MatrixWindow(
        first_row=first(row, window.first_row, max(1, layout.rows)),
        first_column=first(column, window.first_column, max(1, layout.columns)),
        row=row,
        column=column,
    )


def cell_at(window: MatrixWindow, layout: MatrixLayout, x: int, y: int) -> tuple[int, int] | None:
    """Return the row and the column of the matrix at a place of the drawing; None beside its cells."""
    column = (x - layout.name_width - 1) // layout.cell_width
    if not (1 <= y <= layout.rows and 0 <= column < layout.columns and x > layout.name_width):
        return None
    return window.first_row + y - 1, window.first_column + column


def matrix_lines(
    confusion: "NDArray[np.int64]",
    class_names: Sequence[str],
    window: MatrixWindow,
    layout: MatrixLayout,
    style: MatrixStyle,
) -> list[Strip]:
    """Draw the cells of `window`, truth by row and prediction by column, shaded by their share of the row.

    Args:
        confusion: int64 (C, C).
        class_names: C names.
        window: which cells to draw; see `scrolled`.
        layout: see `matrix_layout`.
        style: how to draw them.
    """
    palette, cell = style.palette, layout.cell_width
    columns = range(window.first_column, window.first_column + layout.columns)
    names = cut_names(class_names, layout.name_width)
    plain, marked = Style(color=palette.axis), Style(color=palette.text, bold=True, underline=True)
    lines = [_heading(class_names, window, layout, plain, marked)]
    support = confusion.sum(axis=1)
    for row in range(window.first_row, window.first_row + layout.rows):
        pad = " " * (layout.name_width + 1 - cell_width(names[row]))
        segments = [Segment(names[row], marked if row == window.row else plain), Segment(pad)]
        for column in columns:
            count = int(confusion[row, column])
            share = count / int(support[row]) if support[row] else 0.0
            text = _EMPTY if not count else f"{100 * share:.0f}" if style.per_cent else str(count)
            drawn = style.of_cell(share, is_right=row == column)
            if (row, column) == (window.row, window.column):
                drawn += Style(reverse=True, bold=True)
            segments += [Segment(" "), Segment(text.rjust(cell - 1), drawn)]
        lines.append(Strip(segments))
    return lines


def _heading(
    class_names: Sequence[str], window: MatrixWindow, layout: MatrixLayout, plain: Style, marked: Style
) -> Strip:
    """The names of the columns, as far as they fit; that of the cursor's column covers the others."""
    left, cell = layout.name_width + 1, layout.cell_width
    heads = _heads(class_names, cell - 1)
    segments = [Segment(" " * left)]
    for column in range(window.first_column, window.first_column + layout.columns):
        pad = " " * (cell - cell_width(heads[column]))
        segments += [Segment(pad), Segment(heads[column], plain)]
    place = window.column - window.first_column
    if not 0 <= place < layout.columns:
        return Strip(segments)
    strip, whole = Strip(segments), cut_names(class_names, _LONGEST_NAME)[window.column]
    width = min(cell_width(whole), layout.columns * cell - 1)
    whole = cut(whole, width)
    end = max(left + (place + 1) * cell, left + cell_width(whole))
    start = end - cell_width(whole)
    # a head that is covered in part would read as another one
    before = max(0, start - 1 - left) // cell * cell + left
    after = -(-(end - left) // cell) * cell + left
    return Strip.join(
        [
            strip.crop(0, before),
            Strip([Segment(" " * (start - before)), Segment(whole, marked), Segment(" " * (after - end))]),
            strip.crop(after),
        ]
    )


def _heads(class_names: Sequence[str], width: int) -> list[str]:
    """The names cut to `width`: at their ends, unless it is only these that tell them apart."""
    names = [escaped_name(name) for name in class_names]
    if width < _LEAST_CUT:  # the letter in the place of "…" says more
        starts = [name if cell_width(name) <= width else fitting(name, width) for name in names]
        if len(set(starts)) == len(starts):
            return starts
    heads = [cut(name, width) for name in names]
    if len(set(heads)) == len(heads):
        return heads
    ends = [cut(name[::-1], width)[::-1] for name in names]
    return ends if len(set(ends)) > len(set(heads)) else heads
