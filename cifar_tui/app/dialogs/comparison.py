"""The screen of runs side by side."""

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable

from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.runs.comparison import BEST_MARK, ComparedColumn, comparison_columns, whole_columns
from cifar_tui.runs.listing import ListedRun, compare_runs

_PADDING = 2
"""Cells beside the text of a column."""

_FRAME = 5
"""Cells beside the columns: the border, the space at both sides and the scrollbar."""


class ComparisonTable(DataTable[Content]):
    """A table that shows whole columns only; the first one stays.

    Args:
        columns: all columns.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("left,h", "move(-1)", "Left", show=False),
        Binding("right,l", "move(1)", "Right", show=False),
        Binding("home,0", "move(-1000)", "First column", show=False),
        Binding("end,dollar_sign", "move(1000)", "Last column", show=False),
    ]

    def __init__(self, columns: list[ComparedColumn]) -> None:
        super().__init__(cursor_type="none", id="comparison")
        self._columns = columns
        self._first = 1
        self._count = 0

    def action_move(self, columns: int) -> None:
        """Move by whole columns, unless all of them are visible."""
        widths = self._widths()
        # no further than until the last column is visible
        last = next(first for first in range(1, len(widths)) if first + self._fitting(first) >= len(widths))
        self._first = max(1, min(self._first + columns, last))
        self.fill()

    def _widths(self) -> list[int]:
        return [max(map(cell_len, (column.heading, *column.texts))) + _PADDING for column in self._columns]

    def _fitting(self, first: int) -> int:
        widths = self._widths()
        return whole_columns(widths, first, self.app.size.width - _FRAME - widths[0])

    def fill(self) -> None:
        """Show as many columns as fit now."""
        last = self._first + self._fitting(self._first)
        shown = [self._columns[0], *self._columns[self._first : last]]
        self.clear(columns=True)
        for column in shown:
            width = max(map(cell_len, (column.heading, *column.texts)))
            heading = column.heading.rjust(width) if column.right else column.heading
            self.add_column(Text(heading), width=width)
        for row in range(len(shown[0].texts)):
            self.add_row(*(_cell(column, row, first=number == 0) for number, column in enumerate(shown)))
        hint = [f"{BEST_MARK} best"] if any(column.best for column in shown) else []
        total = len(self._columns) - 1
        if last - self._first < total:
            hint.append(f"←→ columns {self._first}–{last - 1} of {total}")
        self.border_subtitle = " · ".join([*hint, "esc close"])


class ComparisonScreen(Dialog[None]):
    """Shows the results of `runs`, and the settings in which they differ."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,v", "dismiss", "Close")]

    def __init__(self, runs: list[ListedRun]) -> None:
        super().__init__()
        self._columns = comparison_columns(runs)
        self._title = f"{len(runs)} runs side by side"
        if not compare_runs(runs).settings:
            self._title += " · identical settings"

    def compose(self) -> ComposeResult:
        table = ComparisonTable(self._columns)
        table.border_title = self._title
        yield table

    def on_resize(self) -> None:
        self.query_one(ComparisonTable).fill()


def _cell(column: ComparedColumn, row: int, *, first: bool) -> Content:
    text = column.texts[row]
    if column.right:
        width = max(map(cell_len, (column.heading, *column.texts)))
        text = " " * (width - cell_len(text)) + text
    style = "bold $text-success" if row in column.best else "bold" if first else ""
    return Content.styled(text, style)
