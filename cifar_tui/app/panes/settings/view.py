"""`FormView`: draws the rows of the form and says where they are clicked."""

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cifar_tui.app.panes.settings.form import Form, Row
from cifar_tui.engine.config.fields import Group
from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.engine.text import cut_path, escaped

_LONGEST = max(map(len, SETTINGS))
_WIDE = 56
"""From so many columns on, all values start in the same column; below, long keys push theirs to the right."""
_NARROW_KEY = 17


class FormView(ScrollView, can_focus=False):
    """The rows, one of which has the cursor.

    Attributes:
        has_cursor: whether to mark the row that has the cursor.
    """

    DEFAULT_CSS = """
    FormView { height: 1fr; scrollbar-size-vertical: 1; overflow: hidden auto; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "form--heading",
        "form--key",
        "form--value",
        "form--locked",
        "form--cursor",
        "form--wrong",
        "form--changed",
    }

    @dataclass
    class Clicked(Message):
        """A row was clicked; `on_value` says whether right of its key."""

        row: Row
        on_value: bool

    class Scrolled(Message):
        """Other rows are visible."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        self.has_cursor = False
        self.locked = False
        self._cursor = str(next(iter(SETTINGS)))
        self._height = 0
        self._fitting = form.rows(0)
        self._index = [row.key for row in self._fitting].index(self._cursor)

    @property
    def _rows(self) -> list[Row]:
        """The rows that fit the present height; the first frame is drawn before a resize is told."""
        if self._height != self.size.height:
            self._fit()
        return self._fitting

    def _fit(self) -> None:
        """Take the rows that fit now, and keep the cursor on its row, or where it was if that is hidden."""
        self._height, self._fitting = self.size.height, self.form.rows(self.size.height)
        keys = [row.key for row in self._fitting]
        if self._cursor not in keys:
            self._cursor = keys[min(self._index, len(keys) - 1)]
        self._index = keys.index(self._cursor)

    @property
    def current(self) -> Row:
        """The row that has the cursor."""
        return self._rows[self._index]

    def redraw(self) -> None:
        """Draw what is in the form now."""
        self._fit()
        self.virtual_size = Size(self.scrollable_size.width, len(self._rows))
        self.refresh()

    def go(self, key: str) -> None:
        """Move the cursor to the row `key`, and scroll to it."""
        self._cursor = key
        self.redraw()
        self.scroll_to_region(Region(0, self._index, 1, 1), animate=False, force=True, immediate=True)

    def move(self, step: int) -> bool:
        """Move the cursor by `step` rows; return whether there is such a row."""
        index = self._index + step
        if not 0 <= index < len(self._rows):
            return False
        self.go(self._rows[index].key)
        return True

    @property
    def mark(self) -> str:
        """The first character of the row that has the cursor."""
        row = self.current
        if row.setting is None:
            return "▾" if row.is_open else "▸"
        return ">" if self.has_cursor else " "

    @property
    def value_region(self) -> Region:
        """Where the value of the row that has the cursor is, relative to this widget."""
        left = self._value_column(self.current)
        top = self._index - self.scroll_offset.y
        return Region(left, top, max(0, self.scrollable_size.width - left), 1)

    def on_resize(self) -> None:
        self.redraw()
        if self.has_cursor:
            self.go(self._cursor)
        self.post_message(self.Scrolled())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.has_cursor:  # it stays on the screen
            top = round(new_value)
            index = min(max(self._index, top), max(top, top + self.size.height - 1), len(self._rows) - 1)
            if index != self._index:
                self._index, self._cursor = index, self._rows[index].key
                self.refresh()
        self.post_message(self.Scrolled())

    def on_click(self, event: Click) -> None:
        index = self.scroll_offset.y + event.y
        if index < len(self._rows):
            row = self._rows[index]
            self.post_message(self.Clicked(row, event.x >= self._value_column(row)))

    def render_line(self, y: int) -> Strip:
        index = self.scroll_offset.y + y
        width = self.scrollable_size.width
        base = self.visual_style.rich_style
        if index >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[index]
        if self.has_cursor and index == self._index:
            base += self.get_component_rich_style("form--cursor").background_style + Style(bold=True)
        text = self._heading(row.group, row.is_open) if row.setting is None else self._setting(row.setting)
        text.truncate(width, overflow="ellipsis", pad=True)
        return Strip([*text.render(self.app.console, end="")], width).apply_style(base)

    def _heading(self, group: Group, is_open: bool) -> Text:
        text = Text()
        text.append(f"{'▾' if is_open else '▸'} {group}", self._style("heading"))
        if not is_open and self.form.changed_in(group):
            text.append(" ●", self._style("changed"))
        if not is_open:
            text.pad_right(max(1, self._value_start - len(text)))
            text.append(escaped(self.form.summary(group)), self._style("key"))
        return text

    def _setting(self, name: str) -> Text:
        wrong, changed = name in self.form.errors, self.form.is_changed(name)
        text = Text()
        mark = "✗" if wrong else "●" if changed else " "
        text.append(f"{mark} ", self._style("wrong" if wrong else "changed"))
        text.append(name, self._style("wrong" if wrong else "key"))
        text.pad_right(max(1, self._value_start - len(text)))
        value = self.form.text(name)
        if not self.form.is_text(name) and not self.locked:
            value += " ▾"
        room = self.scrollable_size.width - len(text)
        text.append(cut_path(value, room), self._style("locked" if self.locked else "value"))
        return text

    @property
    def _value_start(self) -> int:
        return 2 + (_LONGEST if self.scrollable_size.width >= _WIDE else _NARROW_KEY) + 1

    def _value_column(self, row: Row) -> int:
        return max(self._value_start, 2 + len(row.setting or "") + 1)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"form--{name}", partial=True)
