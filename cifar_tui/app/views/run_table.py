"""The table of runs and the field of its filter."""

from collections.abc import Collection
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from cifar_tui.app.widgets.text_input import TextInput
from cifar_tui.runs.listing import ListedRun
from cifar_tui.runs.table import Column, RunsTable

MARK = "●"

_STYLES = {
    "running": "bold $text-success",
    "paused": "bold $text-warning",
    "done": "$text-success",
    "stopped": "$text-warning",
    "failed": "$text-error",
    "crashed": "bold $text-error",
    "unknown": "$foreground 60%",
}


class RunTable(DataTable[Content]):
    """A table of runs that also moves by j and k."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", key_display="enter", tooltip="Open the run"),
        Binding("y", "app.copy_value", "Copy path", show=False, tooltip="Copy the path of the run's folder"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g,home", "scroll_top", "Top", show=False),
        Binding("G,end", "scroll_bottom", "Bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="runs-table", cursor_type="row", cursor_foreground_priority="renderable")
        self._table: RunsTable | None = None

    @property
    def current(self) -> ListedRun | None:
        """The run under the cursor; None without runs."""
        runs = self._table.runs if self._table is not None else ()
        return runs[self.cursor_row] if 0 <= self.cursor_row < len(runs) else None

    def value_to_copy(self) -> str:
        """Return the folder of the run under the cursor."""
        return str(self.current.folder.absolute()) if self.current is not None else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return action != "select_cursor" or self.row_count > 0

    def show(self, table: RunsTable, marked: Collection[str]) -> None:
        """Show `table`, with the cursor on the same run as before; `marked` are IDs of runs."""
        before, current, cursor = self._table, self.current, self.cursor_row
        names = [run.name for run in table.runs]
        rows = [
            _row(run, texts, table.columns, marked=run.name in marked)
            for run, texts in zip(table.runs, table.rows, strict=True)
        ]
        self._table = table
        if before is not None and (before.columns, [run.name for run in before.runs]) == (
            table.columns,
            names,
        ):
            self._update(rows)
            return
        scrolled = self.scroll_y
        self.clear(columns=True)
        self.add_column("", width=1)
        for column in table.columns:
            self.add_column(Text(_aligned(column.heading, column)), width=column.width)
        for row in rows:
            self.add_row(*row)
        self.scroll_to(y=scrolled, animate=False)
        if current is not None and current.name in names:
            cursor = names.index(current.name)
        self.move_cursor(row=max(0, min(cursor, len(names) - 1)), animate=False)

    def _update(self, rows: list[list[Content]]) -> None:
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if not cell.is_same(self.get_cell_at(Coordinate(number, column))):
                    self.update_cell_at(Coordinate(number, column), cell)


class FilterInput(TextInput):
    """The text to look for in the rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.keep_filter", "Keep filter", key_display="enter"),
        Binding("down", "screen.keep_filter", "Keep filter", show=False),
        Binding("escape", "screen.clear_filter", "Show all", key_display="esc"),
    ]


def _row(
    run: ListedRun, texts: tuple[str, ...], columns: tuple[Column, ...], *, marked: bool
) -> list[Content]:
    styles = {"state": _STYLES[run.state], "run": "bold" if marked else ""}
    cells = (
        Content.styled(_aligned(text, column), styles.get(column.key, ""))
        for text, column in zip(texts, columns, strict=True)
    )
    return [Content.styled(MARK if marked else " ", "bold $text-accent"), *cells]


def _aligned(text: str, column: Column) -> str:
    return text.rjust(column.width) if column.right else text
