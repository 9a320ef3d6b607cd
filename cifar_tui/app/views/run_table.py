"""The table of runs and the field of its filter."""

from collections.abc import Collection, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from cifar_tui.app.widgets.text_input import TextInput
from cifar_tui.runs.listing import ListedRun
from cifar_tui.runs.sweep.tree import TreeRow
from cifar_tui.runs.table import Column

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
    """A table of runs, and of their sweeps, that also moves by j and k."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "select_cursor", "Open", key_display="enter", tooltip="Open the run, or fold the sweep"
        ),
        Binding("y", "app.copy_value", "Copy path", show=False, tooltip="Copy the path of the run's folder"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g,home", "scroll_top", "Top", show=False),
        Binding("G,end", "scroll_bottom", "Bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="runs-table", cursor_type="row", cursor_foreground_priority="renderable")
        self._columns: tuple[Column, ...] = ()
        self._rows: tuple[TreeRow, ...] = ()

    @property
    def current_row(self) -> TreeRow | None:
        """The row under the cursor; None without any."""
        return self.row_at(self.cursor_row)

    def row_at(self, place: int) -> TreeRow | None:
        """The row at `place`, from 0 at the top; None where there is none."""
        return self._rows[place] if 0 <= place < len(self._rows) else None

    @property
    def current(self) -> ListedRun | None:
        """The run under the cursor; None on a sweep, and without runs."""
        return self.current_row.run if self.current_row is not None else None

    def value_to_copy(self) -> str:
        """Return the folder of the run under the cursor."""
        return str(self.current.folder.absolute()) if self.current is not None else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return action != "select_cursor" or self.row_count > 0

    def show(self, columns: tuple[Column, ...], tree: Sequence[TreeRow], marked: Collection[str]) -> None:
        """Show the rows of `tree`, with the cursor on the same one as before; `marked` are IDs of runs."""
        before, current, cursor = (self._columns, self._keys()), self.current_row, self.cursor_row
        rows = [_row(row, columns, marked) for row in tree]
        self._columns, self._rows = columns, tuple(tree)
        keys = self._keys()
        if before == (columns, keys):
            self._update(rows)
            return
        scrolled = self.scroll_y
        self.clear(columns=True)
        self.add_column("", width=1)
        for column in columns:
            self.add_column(Text(_aligned(column.heading, column)), width=column.width)
        for row in rows:
            self.add_row(*row)
        self.scroll_to(y=scrolled, animate=False)
        if current is not None and current.key in keys:
            cursor = keys.index(current.key)
        self.move_cursor(row=max(0, min(cursor, len(keys) - 1)), animate=False)

    def _keys(self) -> list[str]:
        return [row.key for row in self._rows]

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


def _row(row: TreeRow, columns: tuple[Column, ...], marked: Collection[str]) -> list[Content]:
    is_marked = bool(row.runs) and all(run.name in marked for run in row.runs)
    styles = {"run": "bold" if is_marked or row.sweep is not None else ""}
    if row.run is not None:
        styles["state"] = _STYLES[row.run.state]
    cells = (
        Content.styled(_aligned(row.texts.get(column.key, ""), column), styles.get(column.key, ""))
        for column in columns
    )
    return [Content.styled(MARK if is_marked else " ", "bold $text-accent"), *cells]


def _aligned(text: str, column: Column) -> str:
    return text.rjust(column.width) if column.right else text
