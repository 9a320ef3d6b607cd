"""The log of a run.

`RichLog` wraps a line once, at the width it has then, and moves the text under the reader when it drops old
lines. `LogView` keeps the lines and wraps them again.
"""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cifar_tui.app.widgets.pane import SCROLL_KEYS, Pane
from cifar_tui.engine.text import escaped
from cifar_tui.runs.log_line import LogLine
from cifar_tui.runs.state import LOG_LINES

SIGNS = {"printed": " ", "message": "·", "alert": "!", "error": "✗"}
"""The sign of each kind of line, so that colour is not the only difference."""

TIME_WIDTH, SIGN_WIDTH = len("12:34:56 "), 2
MIN_TEXT_WIDTH = 8


@dataclass(frozen=True, slots=True)
class _Row:
    """One row on the screen: a part of the line with this number."""

    number: int
    line: LogLine
    text: str
    is_first: bool


class LogView(ScrollView, can_focus=True):
    """Wrapped lines, bounded in number; follows the end until the reader scrolls up."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--time", *(f"log--{kind}" for kind in SIGNS)}
    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL_KEYS]

    rows_below = reactive(0)

    def __init__(self, *, limit: int = LOG_LINES) -> None:
        super().__init__(classes="content")
        self._limit = limit
        self._lines: deque[LogLine] = deque()
        self._rows: list[_Row] = []
        self._dropped = 0
        self._wrap_width = 0
        self._following = True

    def add(self, lines: Sequence[LogLine]) -> None:
        """Append `lines` and drop the oldest beyond the limit."""
        number = self._dropped + len(self._lines)
        self._lines.extend(lines)
        if self._wrap_width:
            for offset, line in enumerate(lines):
                self._rows.extend(self._wrap(number + offset, line))
        self._update_scroll(self.scroll_y - self._drop_oldest())

    def clear_lines(self) -> None:
        """Drop all lines and follow the end again."""
        self._lines.clear()
        self._rows.clear()
        self._following = True
        self._update_scroll(0)

    def on_resize(self) -> None:
        """Wrap all lines again and keep the line at the top."""
        width = self.scrollable_content_region.width
        position = self.scroll_y
        if width != self._wrap_width:
            top = self._rows[self.scroll_offset.y : self.scroll_offset.y + 1]
            self._wrap_width = width
            self._rows = [
                row for n, line in enumerate(self._lines, self._dropped) for row in self._wrap(n, line)
            ]
            if top:
                position = self._first_row(top[0].number)
        self._update_scroll(position)

    def action_scroll_end(self) -> None:
        self._following = True
        self._update_scroll(self.scroll_y)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._following = round(new_value) >= self.max_scroll_y
        self._count_rows_below()

    def render_line(self, y: int) -> Strip:
        index, width = self.scroll_offset.y + y, self.size.width
        background = self.visual_style.rich_style  # cached, unlike self.rich_style
        if index >= len(self._rows):
            return Strip.blank(width, background)
        row = self._rows[index]
        clock, sign = " " * TIME_WIDTH, " "
        if row.is_first:
            clock = time.strftime("%H:%M:%S ", time.localtime(row.line.time))
            sign = SIGNS[row.line.kind]
        segments = [
            Segment(clock, self.get_component_rich_style("log--time", partial=True)),
            Segment(
                f"{sign} {row.text}", self.get_component_rich_style(f"log--{row.line.kind}", partial=True)
            ),
        ]
        return Strip(segments).apply_style(background).adjust_cell_length(width, background)

    def _wrap(self, number: int, line: LogLine) -> list[_Row]:
        width = max(MIN_TEXT_WIDTH, self._wrap_width - TIME_WIDTH - SIGN_WIDTH)
        parts = wrapped(escaped(line.text), width)
        return [_Row(number, line, part, index == 0) for index, part in enumerate(parts)]

    def _first_row(self, number: int) -> int:
        return bisect_left(self._rows, number, key=lambda row: row.number)

    def _drop_oldest(self) -> int:
        """Drop the lines beyond the limit and return the number of rows dropped."""
        while len(self._lines) > self._limit:
            self._lines.popleft()
            self._dropped += 1
        rows = self._first_row(self._dropped)
        del self._rows[:rows]
        return rows

    def _update_scroll(self, position: float) -> None:
        """Tell the scrollbar the number of rows, then scroll to the end or to `position`."""
        following = self._following
        size = Size(self._wrap_width, len(self._rows))
        # assigning to the attribute would lay out the whole screen for every line
        self.set_reactive(LogView.virtual_size, size)
        self._scroll_update(size)
        y = self.max_scroll_y if following else position
        self.scroll_to(y=y, animate=False, immediate=True, force=True)
        self._following = following
        self._count_rows_below()
        self.refresh()

    def _count_rows_below(self) -> None:
        bottom = self.scroll_offset.y + self.scrollable_content_region.height
        self.rows_below = max(0, len(self._rows) - bottom)


class LogPane(Pane):
    """The log with times."""

    DEFAULT_CSS = """
    LogPane {
        padding: 0 0 0 1;
        LogView { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; overflow-x: hidden; }
        .log--time { color: $foreground 50%; }
        .log--printed { color: $foreground; }
        .log--message { color: $foreground 70%; }
        .log--alert { color: $text-warning; text-style: bold; }
        .log--error { color: $text-error; text-style: bold; }
    }
    """

    BORDER_TITLE = "5 Log"
    EMPTY_TEXT = "Nothing logged yet"

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield LogView()

    def on_mount(self) -> None:
        self.watch(self.query_one(LogView), "rows_below", self._show_rows_below)

    def add(self, lines: Sequence[LogLine]) -> None:
        """Append `lines`."""
        if lines:
            self.fill(filled=True)
            self.query_one(LogView).add(lines)

    def clear_lines(self) -> None:
        """Clear the log for another run."""
        self.fill(filled=False)
        self.query_one(LogView).clear_lines()

    def _show_rows_below(self, rows: int) -> None:
        self.write_border(subtitle=Content(f"↓ {rows:,} more below · press end to follow" if rows else ""))


def wrapped(text: str, width: int) -> list[str]:
    """Break `text` into rows of at most `width` cells, between words if possible."""
    if cell_len(text) <= width:
        return [text]
    return [row.plain.rstrip() for row in Content(text).wrap(width)]
