"""The screen of all runs: opens, resumes, compares and deletes them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.coordinate import Coordinate
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Label, Static
from textual.worker import Worker, WorkerState

from cifar_tui.app.commands import FIELD_BINDINGS
from cifar_tui.app.dialogs.comparison import ComparisonScreen
from cifar_tui.app.dialogs.dialogs import DeleteDialog
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.line import Line
from cifar_tui.engine.errors import UserError
from cifar_tui.runs.listing import (
    COLUMNS,
    TEXT_COLUMNS,
    ListedRun,
    delete_run,
    fitting_columns,
    list_runs,
    printable,
    run_cells,
)

REFRESH_SECONDS = 2.0
"""How often the runs are listed anew."""

MARK = "●"

_STYLES = {
    "live": "bold $text-success",
    "paused": "bold $text-warning",
    "done": "$text-success",
    "stopped": "",
    "failed": "$text-error",
    "crashed": "bold $text-error",
    "unknown": "$foreground 60%",
}
_LIVE = ("live", "paused")
_AT_WORK = (WorkerState.PENDING, WorkerState.RUNNING)
_GAP = 2
_AROUND = 6
"""The cells of a row beside its columns: the mark, the space at both ends and the scrollbar."""

_FEWEST_TO_COMPARE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class RunChoice:
    """What to do with the run in `folder`: open the dashboard over it, or go on with it."""

    action: Literal["open", "resume"]
    folder: Path


class RunTable(DataTable[Content]):
    """Moves by j and k as well."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", key_display="enter", tooltip="Show the run"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "scroll_top", "Top", show=False),
        Binding("G", "scroll_bottom", "Bottom", show=False),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what opens a run where there is none."""
        del parameters
        return action != "select_cursor" or self.row_count > 0


class FilterInput(Input):
    """The text that a run must have in its row to be shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.keep_filter", "Keep", key_display="enter"),
        Binding("down", "screen.keep_filter", "Keep", show=False),
        Binding("escape", "screen.clear_filter", "Show all", key_display="esc"),
    ]


class RunsScreen(ModalScreen[RunChoice | None]):
    """All runs, the newest first, listed anew every few seconds; what the user wants of one, or None.

    Args:
        checkpoints: the folder in which runs are kept.
    """

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        *FIELD_BINDINGS,
        Binding("u", "resume", "Resume", tooltip="Go on with the run"),
        Binding("space", "mark", "Mark", tooltip="Mark the run for a comparison, or no longer"),
        Binding("v", "compare", "Compare", tooltip="The marked runs side by side"),
        # with priority, for what is typed ahead is for the field
        Binding(
            "slash",
            "filter",
            "Filter",
            key_display="/",
            priority=True,
            tooltip="Only the runs with what is typed in their row",
        ),
        Binding("x", "delete", "Delete", tooltip="Delete the run, after a question"),
        Binding("escape", "leave", "Back", key_display="esc"),
        Binding("q,h", "dismiss(None)", "Back", show=False),
    ]

    def __init__(self, checkpoints: Path) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._runs: list[ListedRun] | None = None
        self._problem = ""
        self._listing = False
        self._marked: set[str] = set()
        self._shown: list[ListedRun] = []
        self._layout: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """The table, or a sentence where there is nothing to show."""
        yield Line(id="runs-title")
        with Horizontal(id="runs-filter"):
            yield Label("Filter")
            yield FilterInput(placeholder="a part of the row: an id, a state, …", compact=True)
        yield RunTable(id="runs-table", cursor_type="row", cursor_foreground_priority="renderable")
        yield Static(id="no-runs", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to list."""
        self.query_one("#runs-filter").display = False
        self._draw()
        self._list()
        self.set_interval(REFRESH_SECONDS, self._list)

    def on_resize(self) -> None:
        """Show the columns that fit."""
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what needs a run where there is none, and what is no key while the filter is typed in."""
        del parameters
        match action:
            case "filter":
                return not self.query_one(FilterInput).has_focus
            case "resume" | "mark" | "compare" | "delete":
                return bool(self._shown)
            case _:
                return True

    def on_data_table_row_selected(self) -> None:
        """Open the run that has the cursor."""
        run = self._current()
        if run is not None:
            self.dismiss(RunChoice(action="open", folder=run.folder))

    def action_resume(self) -> None:
        """Go on with the run that has the cursor."""
        run = self._current()
        if run is None:
            return
        if run.state in _LIVE:
            self._say(f"Run {run.name} is live and goes on by itself: enter opens it.")
        elif run.state == "done":
            self._say(f"Run {run.name} is done: no step is left to train.")
        elif run.config is None:
            self._say(f"Run {run.name} cannot be resumed: its settings cannot be read.")
        else:
            self.dismiss(RunChoice(action="resume", folder=run.folder))

    def action_mark(self) -> None:
        """Mark the run that has the cursor for a comparison, or no longer."""
        run = self._current()
        if run is not None:
            self._marked ^= {run.name}
            self._draw()

    def action_compare(self) -> None:
        """Show the runs that are marked side by side."""
        marked = [run for run in self._runs or [] if run.name in self._marked]
        if len(marked) < _FEWEST_TO_COMPARE:
            self._say("Mark at least two runs with space: they are compared side by side.")
        else:
            self.app.push_screen(ComparisonScreen(marked))

    def action_filter(self) -> None:
        """Type a part of the rows that are to be shown."""
        self.query_one("#runs-filter").display = True
        self.set_focus(self.query_one(FilterInput))

    def action_keep_filter(self) -> None:
        """Back to the table, with the rows that the filter lets through."""
        self.query_one("#runs-filter").display = bool(self.query_one(FilterInput).value)
        self.set_focus(self.query_one(RunTable))

    def action_clear_filter(self) -> None:
        """Back to the table, with all rows."""
        self.query_one(FilterInput).value = ""
        self._draw()
        self.action_keep_filter()

    def action_leave(self) -> None:
        """Show all rows where some are hidden; else back to where the user came from."""
        if self.query_one(FilterInput).value:
            self.action_clear_filter()
        else:
            self.dismiss(None)

    def action_delete(self) -> None:
        """Ask whether the run that has the cursor is to be deleted."""
        run = self._current()
        if run is None:
            return
        if run.state in _LIVE:
            self._say(f"Run {run.name} is live and cannot be deleted: open it and stop it first.")
        else:
            self.app.push_screen(DeleteDialog(run.name), partial(self._on_delete_answer, run))

    def on_input_changed(self) -> None:
        """Show the rows that the filter lets through."""
        self._draw()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Take in what a thread has found or done."""
        succeeded = event.state is WorkerState.SUCCESS
        match event.worker.name:
            case "list" if event.state not in _AT_WORK:
                self._listing = False
                if succeeded:
                    self._runs, self._problem = event.worker.result or ([], "")
                    self._draw()
            case "delete" if succeeded:
                if event.worker.result:
                    self._say(event.worker.result)
                self._list()

    def _list(self) -> None:
        """List the runs in a thread, for a slow disk must not hold the screen up; one at a time."""
        if not self._listing:
            self._listing = True
            self.run_worker(partial(_list, self._checkpoints), name="list", thread=True)

    def _on_delete_answer(self, run: ListedRun, delete: bool | None) -> None:
        if delete:
            self.run_worker(partial(_delete, run.folder), name="delete", thread=True)

    def _say(self, text: str) -> None:
        self.notify(text, severity="warning", markup=False)

    def _current(self) -> ListedRun | None:
        row = self.query_one(RunTable).cursor_row
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def _draw(self) -> None:
        """Show the runs that are known, with the cursor where it was."""
        needle = self.query_one(FilterInput).value.casefold()
        cells = {run.name: run_cells(run) for run in self._runs or []}
        self._marked &= cells.keys()
        current = self._current()
        before, cursor = [run.name for run in self._shown], self.query_one(RunTable).cursor_row
        self._shown = [
            run
            for run in reversed(self._runs or [])
            if any(needle in text.casefold() for text in cells[run.name].values())
        ]
        self._draw_words(needle)
        columns = self._columns(list(cells.values()))
        names = [run.name for run in self._shown]
        rows = [_row(run, cells[run.name], columns, run.name in self._marked) for run in self._shown]
        if (columns, names) == (self._layout, before):
            self._update(rows)
            return
        self._layout = columns
        self._fill(rows, columns)
        if current is not None and current.name in names:
            cursor = names.index(current.name)
        self.query_one(RunTable).move_cursor(row=max(0, min(cursor, len(names) - 1)), animate=False)
        self.refresh_bindings()

    def _draw_words(self, needle: str) -> None:
        title = [("Runs", "bold")]
        if self._runs is not None:
            count = f"{len(self._runs):,}"
            title.append((f" · {len(self._shown):,} of {count}" if needle else f" · {count}", ""))
        if self._marked:
            title.append((f" · {MARK} {len(self._marked):,} marked", "bold"))
        title.append((f" · in {printable(str(self._checkpoints))}", ""))  # last: it may be cut off
        self.query_one("#runs-title", Line).show(Content.assemble(*title))
        words, table = self.query_one("#no-runs", Static), self.query_one(RunTable)
        words.update(self._why_empty(needle))
        words.display, table.display = not self._shown, bool(self._shown)
        if self.focused is None:
            self.set_focus(table)

    def _why_empty(self, needle: str) -> str:
        if self._problem:
            return self._problem
        if self._runs is None:
            return "looking for runs…"
        if self._runs:
            return f"no run has “{needle}” in its row\nesc shows all"
        return (
            f"there are no runs in {printable(str(self._checkpoints))} yet\nesc goes back, and t trains one"
        )

    def _columns(self, cells: list[dict[str, str]]) -> tuple[tuple[str, int], ...]:
        """The columns that fit, and their widths."""
        widths = {
            name: max([cell_len(heading), *(cell_len(row[name]) for row in cells)])
            for name, heading in COLUMNS.items()
        }
        fitting = fitting_columns(widths, self.size.width - _AROUND, gap=_GAP)
        return tuple((name, widths[name]) for name in fitting)

    def _fill(self, rows: list[list[Content]], columns: tuple[tuple[str, int], ...]) -> None:
        table = self.query_one(RunTable)
        scrolled = table.scroll_y
        table.clear(columns=True)
        table.add_column("", width=1)
        for name, width in columns:
            table.add_column(Text(_aligned(name, COLUMNS[name], width)), width=width)
        for row in rows:
            table.add_row(*row)
        table.scroll_to(y=scrolled, animate=False)

    def _update(self, rows: list[list[Content]]) -> None:
        table = self.query_one(RunTable)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if not cell.is_same(table.get_cell_at(Coordinate(number, column))):
                    table.update_cell_at(Coordinate(number, column), cell)


def _list(checkpoints: Path) -> tuple[list[ListedRun], str]:
    """The runs, and why there are none where the folder cannot be read."""
    try:
        return list_runs(checkpoints), ""
    except UserError as error:
        return [], str(error)


def _delete(folder: Path) -> str:
    """Delete a run; what is wrong with that, if anything."""
    try:
        delete_run(folder)
    except UserError as error:
        return str(error)
    return ""


def _row(
    run: ListedRun, cells: dict[str, str], columns: tuple[tuple[str, int], ...], marked: bool
) -> list[Content]:
    styles = {"state": _STYLES[run.state], "run": "bold" if marked else ""}
    mark = Content.styled(MARK if marked else " ", "bold $text-accent")
    return [
        mark,
        *(
            Content.styled(_aligned(name, cells[name], width), styles.get(name, ""))
            for name, width in columns
        ),
    ]


def _aligned(name: str, text: str, width: int) -> str:
    return text if name in TEXT_COLUMNS else text.rjust(width)
