"""The pane that shows the log of a run.

`RichLog` wraps a line once, at the width of that moment, and moves the text under the reader when it drops
old lines: hence a view of its own that keeps the lines and wraps them again.
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
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from cifar_tui.app.widgets.pane import Pane
from cifar_tui.runs.state import LOG_LINES, LogLine

SIGNS = {"printed": " ", "message": "·", "alert": "!", "error": "✗"}
"""What tells the kinds of lines apart beside their colour."""

EMPTY_TEXT = "what the run says stands here"
TIME_WIDTH, SIGN_WIDTH = len("12:34:56 "), 2
SMALLEST_TEXT = 8


@dataclass(frozen=True, slots=True)
class _Row:
    """A row on the screen: a part of line `number`."""

    number: int
    line: LogLine
    text: str
    first: bool


class LogView(ScrollView):
    """Lines that wrap, are bounded, and follow the end unless the reader has gone elsewhere."""

    can_focus = True
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--time", *(f"log--{kind}" for kind in SIGNS)}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "End", show=False),
    ]

    below = reactive(0)
    """How many rows lie below what is seen."""

    def __init__(self, *, limit: int = LOG_LINES) -> None:
        super().__init__()
        self._limit = limit
        self._lines: deque[LogLine] = deque()
        self._rows: list[_Row] = []
        self._dropped = 0
        self._wrapped_at = 0
        self._following = True

    @property
    def following(self) -> bool:
        """Whether the view stays at the end when lines are added."""
        return self._following

    def add(self, lines: Sequence[LogLine]) -> None:
        """Append `lines`; the oldest go when there are too many."""
        number = self._dropped + len(self._lines)
        self._lines.extend(lines)
        if self._wrapped_at:
            for offset, line in enumerate(lines):
                self._rows.extend(self._wrap(number + offset, line))
        self._settle(self.scroll_y - self._drop_oldest())

    def clear_lines(self) -> None:
        """Forget all lines, and follow again."""
        self._lines.clear()
        self._rows.clear()
        self._following = True
        self._settle(0)

    def on_resize(self) -> None:
        """Wrap everything again, with the same line at the top."""
        width = self.scrollable_content_region.width
        top = self._rows[self.scroll_offset.y] if self.scroll_offset.y < len(self._rows) else None
        position = self.scroll_y
        if width != self._wrapped_at:
            self._wrapped_at = width
            self._rows = [
                row for n, line in enumerate(self._lines) for row in self._wrap(self._dropped + n, line)
            ]
            if top is not None:
                position = bisect_left(self._rows, top.number, key=lambda row: row.number)
        self._settle(position)

    def action_scroll_end(self) -> None:
        """Go to the end and follow it."""
        self._following = True
        self._settle(self.scroll_y)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow from where the reader reaches the end, and only from there."""
        super().watch_scroll_y(old_value, new_value)
        self._following = round(new_value) >= self.max_scroll_y
        self._count_below()

    def render_line(self, y: int) -> Strip:
        """The row at `y` of the view."""
        index = self.scroll_offset.y + y
        width = self.size.width
        background = self.visual_style.rich_style  # cached, which self.rich_style is not
        if index >= len(self._rows):
            return Strip.blank(width, background)
        row = self._rows[index]
        style = self.get_component_rich_style(f"log--{row.line.kind}", partial=True)
        clock = time.strftime("%H:%M:%S ", time.localtime(row.line.time)) if row.first else " " * TIME_WIDTH
        sign = SIGNS[row.line.kind] if row.first else " "
        segments = [
            Segment(clock, self.get_component_rich_style("log--time", partial=True)),
            Segment(f"{sign} {row.text}", style),
        ]
        return Strip(segments).apply_style(background).adjust_cell_length(width, background)

    def _wrap(self, number: int, line: LogLine) -> list[_Row]:
        room = max(SMALLEST_TEXT, self._wrapped_at - TIME_WIDTH - SIGN_WIDTH)
        parts = [part for piece in printable(line.text) for part in wrapped(piece, room)]
        return [_Row(number, line, part, index == 0) for index, part in enumerate(parts)]

    def _drop_oldest(self) -> int:
        """Keep the bound; returns how many rows went."""
        excess = len(self._lines) - self._limit
        if excess <= 0:
            return 0
        for _ in range(excess):
            self._lines.popleft()
        self._dropped += excess
        rows = bisect_left(self._rows, self._dropped, key=lambda row: row.number)
        del self._rows[:rows]
        return rows

    def _settle(self, position: float) -> None:
        """Take in the number of rows, and go to the end or to `position`."""
        following = self._following
        # set as an attribute, the whole screen would be laid out anew with every line
        size = Size(self._wrapped_at, len(self._rows))
        self.set_reactive(LogView.virtual_size, size)
        self._scroll_update(size)
        self.scroll_to(
            y=self.max_scroll_y if following else position, animate=False, immediate=True, force=True
        )
        self._following = following
        self._count_below()
        self.refresh()

    def _count_below(self) -> None:
        self.below = max(0, len(self._rows) - self.scroll_offset.y - self.scrollable_content_region.height)


class LogPane(Pane):
    """What the run said, with times."""

    BORDER_TITLE = "5 Log"

    def compose(self) -> ComposeResult:
        """The lines."""
        yield Static(EMPTY_TEXT, id="no-log")
        yield LogView()

    def on_mount(self) -> None:
        """Say when there is more to read."""
        self.watch(self.query_one(LogView), "below", self._say_more)

    def add(self, lines: Sequence[LogLine]) -> None:
        """Append `lines`."""
        if lines:
            self.add_class("-filled")
            self.query_one(LogView).add(lines)

    def clear_lines(self) -> None:
        """Empty the log for a new run."""
        self.remove_class("-filled")
        self.query_one(LogView).clear_lines()

    def _say_more(self, below: int) -> None:
        self.write_border(subtitle=Content(f"↓ {below:,} more below · end to follow" if below else ""))


def printable(text: str) -> list[str]:
    """The lines of `text` without control characters, which would wreck the screen; at least one."""
    lines = text.expandtabs(4).splitlines() or [""]
    return ["".join(character if character.isprintable() else "�" for character in line) for line in lines]


def wrapped(text: str, width: int) -> list[str]:
    """`text` in rows of at most `width` cells, broken between words where that is possible."""
    if cell_len(text) <= width:
        return [text]
    return [row.plain.rstrip() for row in Content(text).wrap(width)]
