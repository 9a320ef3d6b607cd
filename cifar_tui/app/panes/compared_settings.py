"""The results of runs, and the settings in which they differ, as a table."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable

from cifar_tui.app.widgets.pane import Pane
from cifar_tui.runs.comparison import BEST_MARK, ComparedColumn, comparison_columns, whole_columns
from cifar_tui.runs.listing import ListedRun, compare_runs

_PADDING = 2
"""Cells beside the text of a column."""


class ComparisonTable(DataTable[Content]):
    """A table that shows whole columns only; the first one stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("left,h", "move(-1)", "Left", show=False),
        Binding("right,l", "move(1)", "Right", show=False),
        Binding("home,0", "move(-1000)", "First column", show=False),
        Binding("end,dollar_sign", "move(1000)", "Last column", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="none", id="comparison")
        self._columns: list[ComparedColumn] = []
        self._first = 1

    def show_columns(self, columns: list[ComparedColumn]) -> None:
        """Show `columns` from the one that is the first now."""
        if columns != self._columns:
            self._columns = columns
            self.action_move(0)

    def on_resize(self) -> None:
        self.action_move(0)

    def action_move(self, columns: int) -> None:
        """Move by whole columns, unless all of them are visible."""
        if not self._columns or not self.size:
            return
        widths = self._widths()
        # no further than until the last column is visible
        last = next(
            first for first in range(1, len(widths) + 1) if first + self._fitting(first) >= len(widths)
        )
        self._first = max(1, min(self._first + columns, last))
        self._fill()

    @property
    def places(self) -> str:
        """Which of the columns are visible; "" if all are."""
        total, count = len(self._columns) - 1, self._fitting(self._first)
        return f"←→ columns {self._first}–{self._first + count - 1} of {total}" if 0 < count < total else ""

    def _widths(self) -> list[int]:
        return [max(map(cell_len, (column.heading, *column.texts))) + _PADDING for column in self._columns]

    def _fitting(self, first: int) -> int:
        widths = self._widths()
        return whole_columns(widths, first, self.size.width - 1 - widths[0]) if widths else 0

    def _fill(self) -> None:
        """Show as many columns as fit now."""
        last = self._first + self._fitting(self._first)
        shown = [self._columns[0], *self._columns[self._first : last]]
        scrolled = self.scroll_y
        self.clear(columns=True)
        for column in shown:
            width = max(map(cell_len, (column.heading, *column.texts)))
            heading = column.heading.rjust(width) if column.right else column.heading
            self.add_column(Text(heading), width=width)
        for row in range(len(shown[0].texts)):
            self.add_row(*(_cell(column, row, first=number == 0) for number, column in enumerate(shown)))
        self.scroll_to(y=scrolled, animate=False)
        pane = next(node for node in self.ancestors if isinstance(node, ComparedSettingsPane))
        pane.show_places()


class ComparedSettingsPane(Pane):
    """Runs in rows: their results, and the settings in which they differ."""

    DEFAULT_CSS = """
    ComparedSettingsPane {
        #comparison { height: 1fr; background: transparent; scrollbar-size-vertical: 1; }
        #comparison > .datatable--header, #comparison > .datatable--fixed, #comparison > .datatable--odd-row {
            background: transparent;
            color: $foreground;
        }
        #comparison > .datatable--header { text-style: bold; color: $foreground 60%; }
    }
    """

    BORDER_TITLE = "2 Settings"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._identical = False

    def compose(self) -> ComposeResult:
        yield ComparisonTable()

    def show(self, runs: Sequence[ListedRun]) -> None:
        """Show `runs` side by side."""
        self._identical = not compare_runs(runs).settings
        self.query_one(ComparisonTable).show_columns(comparison_columns(runs))

    def show_places(self) -> None:
        """Say on the frame which columns are visible, and whether settings differ."""
        table = self.query_one(ComparisonTable)
        hints = ["identical settings" if self._identical else "", table.places, f"{BEST_MARK} best"]
        title = " · ".join([self.BORDER_TITLE, *(hint for hint in hints if hint)])
        self.write_border(title=Content(title), subtitle=Content(""))


def _cell(column: ComparedColumn, row: int, *, first: bool) -> Content:
    text = column.texts[row]
    if column.right:
        width = max(map(cell_len, (column.heading, *column.texts)))
        text = " " * (width - cell_len(text)) + text
    style = "bold $text-success" if row in column.best else "bold" if first else ""
    return Content.styled(text, style)
