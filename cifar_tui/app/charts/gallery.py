"""Pictures side by side, each above its label and prediction: which fit, and their lines."""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.pictures import half_blocks
from cifar_tui.engine.text import cell_width, cut_path, escaped_name
from cifar_tui.runs.format import loss_figure
from cifar_tui.runs.results import Images, Results, SortKey

CURSOR_BAR = "┃"
RIGHT, WRONG = "✓", "✗"
NO_PICTURE = "no picture"

_MARGIN = 2
"""Cells beside a picture: the cursor before it, a blank after it."""

_CAPTION_ROWS = 2
_RECOGNISABLE, _NATIVE, _WIDEST = 16, 32, 48
"""Widths of a picture in cells: the least to tell what it shows, all its pixels, and the largest drawn."""
_LEAST = 8
_KEPT_PICTURES = 64
_LONG_CAPTION = 26


@dataclass(frozen=True, kw_only=True, slots=True)
class GridLayout:
    """Pictures of `picture` cells, each with `gap` more, in `rows` of `columns`; 0 of these if none fits."""

    columns: int
    rows: int
    picture: int
    gap: int = _MARGIN

    @property
    def per_page(self) -> int:
        """The pictures that fit at once."""
        return self.columns * self.rows

    @property
    def cell_width(self) -> int:
        """The columns of a picture with its gap."""
        return self.picture + self.gap

    @property
    def cell_height(self) -> int:
        """The rows of a picture with its caption."""
        return picture_rows(self.picture) + _CAPTION_ROWS

    def place_at(self, x: int, y: int) -> int | None:
        """Return which picture of the page is drawn at a place, from 0; None beside all."""
        if not self.columns:
            return None
        column, row = x // self.cell_width, y // self.cell_height
        return row * self.columns + column if column < self.columns and row < self.rows else None


def picture_rows(width: int) -> int:
    """Return the rows of a square picture of `width` cells."""
    return max(1, round(width / 2))


def grid_layout(width: int, height: int, columns: int | None = None) -> GridLayout:
    """Lay out pictures that fill `width` in whole rows.

    Args:
        width: of the drawing.
        height: of the drawing.
        columns: pictures side by side, as near as possible; None for as many as show most of them.
    """
    layouts = [layout for layout in _layouts(width, height) if layout.rows]
    if not layouts:
        return GridLayout(columns=0, rows=0, picture=0)
    if columns is not None:
        return min(layouts, key=lambda layout: abs(layout.columns - columns))
    recognisable = [layout for layout in layouts if layout.picture >= _RECOGNISABLE] or layouts[:1]
    return max(recognisable, key=lambda layout: layout.per_page * min(layout.picture, _NATIVE) ** 2)


def _layouts(width: int, height: int) -> list[GridLayout]:
    """All layouts, from the fewest columns; the cells that a picture cannot use go to the gaps."""
    found = []
    for columns in range(1, width // (_LEAST + _MARGIN) + 1):
        cell = width // columns
        picture = max(_LEAST, min(cell - _MARGIN, _WIDEST, 2 * (height - _CAPTION_ROWS)))
        layout = GridLayout(columns=columns, rows=0, picture=picture, gap=cell - picture)
        found.append(replace(layout, rows=height // layout.cell_height))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What is shown of the images of a selection.

    Attributes:
        positions: in the test set, of the images of the page.
        cursor: which of them has the cursor; None for none.
        sort: the figure that is written beside the label.
    """

    positions: Sequence[int]
    cursor: int | None
    sort: SortKey = SortKey.INDEX


class PictureCache:
    """Pictures drawn lately: a step of the cursor or a page back draws none again.

    Args:
        images: the images.
        dithered: see `half_blocks`.
    """

    def __init__(self, images: Images, *, dithered: bool) -> None:
        self.images = images
        self._dithered = dithered
        self.lines = functools.lru_cache(maxsize=_KEPT_PICTURES)(self._draw)

    def _draw(self, position: int, width: int) -> list[Strip]:
        with contextlib.suppress(OSError, IndexError):  # there was no room for it, or its file is gone
            return half_blocks(self.images[position], width, dithered=self._dithered)
        blank, rows = Strip.blank(width), picture_rows(width)
        lines = [blank] * rows
        lines[rows // 2] = Strip([Segment(NO_PICTURE.center(width)[:width])])
        return lines


def page_lines(
    results: Results, page: Page, layout: GridLayout, pictures: PictureCache, palette: Palette
) -> list[Strip]:
    """Draw the pictures of `page` with their captions."""
    cells = [_cell(results, page, place, layout, pictures, palette) for place in range(len(page.positions))]
    return grid_lines(cells, layout.columns)


def grid_lines(cells: Sequence[Sequence[Strip]], columns: int) -> list[Strip]:
    """Join `cells`, each of as many lines, in rows of `columns`."""
    rows = [cells[start : start + columns] for start in range(0, len(cells), max(1, columns))]
    return [Strip.join(parts) for row in rows for parts in zip(*row, strict=True)]


def _cell(
    results: Results,
    page: Page,
    place: int,
    layout: GridLayout,
    pictures: PictureCache,
    palette: Palette,
) -> list[Strip]:
    position = page.positions[place]
    at_cursor = page.cursor == place
    before = Strip([Segment(CURSOR_BAR if at_cursor else " ", Style(color=palette.text, bold=True))])
    after = Strip.blank(layout.gap - 1)
    drawn = pictures.lines(position, layout.picture)
    captions = _captions(results, position, page.sort, layout.picture, palette, at_cursor=at_cursor)
    return [Strip.join([before, line, after]) for line in (*drawn, *captions)]


def _captions(
    results: Results, position: int, sort: SortKey, width: int, palette: Palette, *, at_cursor: bool
) -> list[Strip]:
    """The label with the figure sorted by, and below it the prediction."""
    made, names = results.predictions, results.class_names
    truth, predicted = (
        escaped_name(names[int(classes[position])]) for classes in (made.targets, made.predicted)
    )
    is_right = bool(made.targets[position] == made.predicted[position])
    figure = f"loss {loss_figure(float(made.losses[position]))}" if sort is SortKey.LOSS else f"{position:,}"
    verdict, style = (
        (RIGHT, Style(color=palette.test)) if is_right else (WRONG, Style(color=palette.loss, bold=True))
    )
    label, guess = ("GroundTruth ", "Predicted ") if width >= _LONG_CAPTION else ("", "")
    confidence = f"{100 * float(made.confidences[position]):.1f} %"
    marked = Style(reverse=at_cursor, bold=at_cursor)
    plain = Style(color=palette.text) + marked
    return [
        caption(f"{label}", truth, figure, width, (plain, Style(color=palette.axis) + marked)),
        caption(f"{verdict} {guess}", predicted, confidence, width, (style + marked, style + marked)),
    ]


def caption(front: str, name: str, end: str, width: int, styles: tuple[Style, Style]) -> Strip:
    """Write `front` and `name` at the left and `end` at the right, which goes before `name` gets too short.

    Args:
        front: before the name.
        name: cut in the middle to what fits.
        end: a figure.
        width: of the picture above, in cells.
        styles: of the left and of the right.
    """
    room = width - cell_width(front) - cell_width(end) - 1
    if room < min(4, cell_width(name)):
        end, room = "", width - cell_width(front)
    name = cut_path(name, max(1, room))
    pad = " " * max(0, width - cell_width(front) - cell_width(name) - cell_width(end))
    return Strip([Segment(front + name, styles[0]), Segment(pad + end, styles[1])]).adjust_cell_length(width)
