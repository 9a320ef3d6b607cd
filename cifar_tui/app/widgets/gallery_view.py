"""A page of pictures with a cursor."""

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip

from cifar_tui.app.charts.gallery import GridLayout, Page, PictureCache, grid_layout, page_lines
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.pictures import has_few_colours
from cifar_tui.app.widgets.strip_view import DrawnView
from cifar_tui.runs.results import Results, SortKey

_NONE, _NO_ROOM = "No such images (a: show all)", "No room for pictures (m: maximise)"


class GalleryView(DrawnView, can_focus=True):
    """A page of pictures, with a cursor on one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(0, -1)", "Up", show=False),
        Binding("down,j", "move(0, 1)", "Down", show=False),
        Binding("left,h", "move(-1, 0)", "Left", show=False),
        Binding("right,l", "move(1, 0)", "Right", show=False),
        Binding(
            "right_square_bracket,pagedown",
            "page(1)",
            "Next page",
            show=False,
            key_display="[ ]",
            tooltip="Previous, next page of images (page up and page down, too)",
        ),
        Binding("left_square_bracket,pageup", "page(-1)", "Previous page", show=False),
        Binding("g,home", "end(-1)", "First", show=False),
        Binding("G,end", "end(1)", "Last", show=False),
        Binding("enter", "open", "Large", tooltip="Show the image large, with its top classes"),
        Binding(
            "plus,equals_sign",
            "resize(-1)",
            "Larger",
            show=False,
            key_display="+ -",
            tooltip="Larger or smaller pictures",
        ),
        Binding("minus", "resize(1)", "Smaller", show=False),
    ]

    class Moved(Message):
        """Another page or image is shown."""

    class Opened(Message):
        """The user wants to see an image large."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._results: Results | None = None
        self._pictures: PictureCache | None = None
        self._sort = SortKey.INDEX
        self._columns: int | None = None
        self._layout = GridLayout(columns=0, rows=0, picture=0)
        self._first = 0
        self.selected: list[int] = []
        self.cursor = 0

    @property
    def current(self) -> int | None:
        """The position in the test set of the image under the cursor; None without any."""
        return self.selected[self.cursor] if self.selected else None

    @property
    def shown(self) -> range:
        """The places in the selection of the images of the page."""
        return range(self._first, min(self._first + self._layout.per_page, len(self.selected)))

    def show_images(self, results: Results, selected: list[int], sort: SortKey) -> None:
        """Show the images at `selected` in the test set, with the cursor on the same one as before."""
        current = self.current
        if self._pictures is None or self._pictures.images is not results.images:
            self._pictures = PictureCache(results.images, dithered=has_few_colours(self.app.console))
        self._results, self._sort, self.selected = results, sort, selected
        self.point_at(current)

    def point_at(self, position: int | None) -> None:
        """Put the cursor on the image at `position` in the test set, if it is among those shown."""
        if position is None or position not in self.selected:
            self._go(self.cursor)
        else:
            self._go(self.selected.index(position))

    def redraw(self) -> None:
        """Draw the page that the cursor is on."""
        if self._results is None or self._pictures is None or not self.size:
            return
        layout = grid_layout(self.size.width, self.size.height, self._columns)
        if layout != self._layout:
            self._layout = layout
            self._keep_cursor_visible()
        shown = self.shown
        if not shown:
            text = _NONE if not self.selected else _NO_ROOM
            middle = [Strip([])] * (self.size.height // 2)
            self.show([*middle, Strip([Segment(text.center(self.size.width)[: self.size.width])])])
            self.post_message(self.Moved())
            return
        page = Page(
            positions=self.selected[shown.start : shown.stop],
            cursor=self.cursor - shown.start,
            sort=self._sort,
        )
        palette = Palette.from_theme(self.app.theme_variables)
        self.show(page_lines(self._results, page, layout, self._pictures, palette))
        self.post_message(self.Moved())

    def value_to_copy(self) -> str:
        """Return the path of the image under the cursor; of one in no file, what is known of it."""
        results, position = self._results, self.current
        return "" if results is None or position is None else results.described(position)

    def action_move(self, columns: int, rows: int) -> None:
        """Move the cursor, by rows only where there is an image."""
        target = self.cursor + columns + rows * self._layout.columns
        if not rows or 0 <= target < len(self.selected):
            self._go(target)
        elif rows > 0 and self._row(self.cursor) < self._row(len(self.selected) - 1):
            self._go(len(self.selected) - 1)  # the last row is shorter

    def action_page(self, pages: int) -> None:
        """Show the next page, with the cursor at the same place of it; it stops at the ends."""
        self._scroll(pages * self._layout.per_page)

    def action_end(self, direction: int) -> None:
        self._go(0 if direction < 0 else len(self.selected) - 1)

    def action_resize(self, columns: int) -> None:
        """Show this many pictures more side by side."""
        wanted = max(1, self._layout.columns + columns)
        self._columns = grid_layout(self.size.width, self.size.height, wanted).columns
        self.redraw()

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened())

    def on_click(self, event: Click) -> None:
        place = self._layout.place_at(event.x, event.y)
        if place is None or self._first + place >= len(self.selected):
            return
        if event.chain > 1 and self._first + place == self.cursor:
            self.action_open()
        else:
            self._go(self._first + place)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._scroll(self._layout.columns)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._scroll(-self._layout.columns)

    def _scroll(self, images: int) -> None:
        """Scroll by `images`, whole rows of them, with the cursor at the same place of the screen."""
        if not self._layout.columns or not self.selected:
            return
        first = max(0, min(self._first + images, self._last_first()))
        if first == self._first:
            self._go(self.cursor + images)
            return
        self.cursor = max(0, min(self.cursor + first - self._first, len(self.selected) - 1))
        self._first = first
        self.redraw()

    def _go(self, place: int) -> None:
        self.cursor = max(0, min(place, len(self.selected) - 1))
        self._keep_cursor_visible()
        self.redraw()

    def _row(self, place: int) -> int:
        return place // max(1, self._layout.columns)

    def _last_first(self) -> int:
        """The first image of the last page."""
        rows = self._row(len(self.selected) - 1) + 1
        return max(0, rows - self._layout.rows) * self._layout.columns

    def _keep_cursor_visible(self) -> None:
        row, first = self._row(self.cursor), self._row(self._first)
        first = min(max(first, row - max(1, self._layout.rows) + 1), row)
        self._first = min(first * max(1, self._layout.columns), self._last_first())
