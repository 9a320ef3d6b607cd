"""The Runs view: opens, resumes, compares and deletes runs."""

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

from cifar_tui.app.dialogs.comparison import ComparisonScreen
from cifar_tui.app.dialogs.questions import DeleteDialog
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.line import Line
from cifar_tui.engine.errors import UserError
from cifar_tui.engine.text import printable
from cifar_tui.runs.listing import (
    COLUMNS,
    TEXT_COLUMNS,
    ListedRun,
    column_widths,
    delete_run,
    fitting_columns,
    list_runs,
    run_cells,
)

REFRESH_SECONDS = 2.0
"""How often the list is refreshed."""

MARK = "●"

_STYLES = {
    "running": "bold $text-success",
    "paused": "bold $text-warning",
    "done": "$text-success",
    "stopped": "",
    "failed": "$text-error",
    "crashed": "bold $text-error",
    "unknown": "$foreground 60%",
}
_LIVE = ("running", "paused")
_AT_WORK = (WorkerState.PENDING, WorkerState.RUNNING)
_GAP = 2
_MARGIN = 6
"""Cells of a row beside its columns: the mark, the space at both ends and the scrollbar."""

_MIN_COMPARED = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class RunChoice:
    """What to do with the run in `folder`."""

    action: Literal["open", "resume"]
    folder: Path


class RunTable(DataTable[Content]):
    """A table that also moves by j and k."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", key_display="enter", tooltip="Open the run"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "scroll_top", "Top", show=False),
        Binding("G", "scroll_bottom", "Bottom", show=False),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return action != "select_cursor" or self.row_count > 0


class FilterInput(Input):
    """The text to look for in the rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.keep_filter", "Keep filter", key_display="enter"),
        Binding("down", "screen.keep_filter", "Keep filter", show=False),
        Binding("escape", "screen.clear_filter", "Show all", key_display="esc"),
    ]


class RunsScreen(ModalScreen[RunChoice | None]):
    """Lists all runs, the newest first; dismissed with a `RunChoice`, or None.

    Args:
        checkpoints: the folder that holds the runs.
    """

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "resume", "Resume", tooltip="Resume the run from its last checkpoint"),
        Binding("space", "mark", "Mark", tooltip="Mark the run for comparison"),
        Binding("v", "compare", "Compare", tooltip="Compare the marked runs side by side"),
        # with priority, so that keys typed ahead reach the field
        Binding(
            "slash",
            "filter",
            "Filter",
            key_display="/",
            priority=True,
            tooltip="Filter the runs by text",
        ),
        Binding("x", "delete", "Delete", tooltip="Delete the run (asks first)"),
        Binding("escape", "leave", "Back", key_display="esc"),
        Binding("q,h", "dismiss(None)", "Back", show=False),
    ]

    def __init__(self, checkpoints: Path) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._runs: list[ListedRun] | None = None  # None while they are being listed
        self._problem = ""
        self._listing = False
        self._marked: set[str] = set()
        self._shown: list[ListedRun] = []
        self._layout: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Line(id="runs-title")
        with Horizontal(id="runs-filter"):
            yield Label("Filter")
            yield FilterInput(placeholder="run ID, state, preset, …", compact=True)
        yield RunTable(id="runs-table", cursor_type="row", cursor_foreground_priority="renderable")
        yield Static(id="no-runs", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#runs-filter").display = False
        self._draw()
        self._list()
        self.set_interval(REFRESH_SECONDS, self._list)

    def on_resize(self) -> None:
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        match action:
            case "filter":
                return not self.query_one(FilterInput).has_focus
            case "resume" | "mark" | "compare" | "delete":
                return bool(self._shown)
            case _:
                return True

    def on_data_table_row_selected(self) -> None:
        run = self._current()
        if run is not None:
            self.dismiss(RunChoice(action="open", folder=run.folder))

    def action_resume(self) -> None:
        run = self._current()
        if run is None:
            return
        if run.state in _LIVE:
            self._say(f"Run {run.name} is already running. Press enter to open it.")
        elif run.state == "done":
            self._say(f"Run {run.name} is already finished.")
        elif run.config is None:
            self._say(f"Run {run.name} cannot be resumed: its config.toml is unreadable.")
        else:
            self.dismiss(RunChoice(action="resume", folder=run.folder))

    def action_mark(self) -> None:
        run = self._current()
        if run is not None:
            self._marked ^= {run.name}
            self._draw()

    def action_compare(self) -> None:
        marked = [run for run in self._runs or [] if run.name in self._marked]
        if len(marked) < _MIN_COMPARED:
            self._say("Mark at least two runs with space to compare them.")
        else:
            self.app.push_screen(ComparisonScreen(marked))

    def action_filter(self) -> None:
        self.query_one("#runs-filter").display = True
        self.set_focus(self.query_one(FilterInput))

    def action_keep_filter(self) -> None:
        self.query_one("#runs-filter").display = bool(self.query_one(FilterInput).value)
        self.set_focus(self.query_one(RunTable))

    def action_clear_filter(self) -> None:
        self.query_one(FilterInput).value = ""
        self._draw()
        self.action_keep_filter()

    def action_leave(self) -> None:
        if self.query_one(FilterInput).value:
            self.action_clear_filter()
        else:
            self.dismiss(None)

    def action_delete(self) -> None:
        run = self._current()
        if run is None:
            return
        if run.state in _LIVE:
            self._say(f"Run {run.name} is active. Open it (enter) and stop it (s) first.")
        else:
            self.app.push_screen(DeleteDialog(run.name), partial(self._on_delete_answer, run))

    def on_input_changed(self) -> None:
        self._draw()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
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
        """List the runs in a thread, one at a time: a slow disk must not block the screen."""
        if not self._listing:
            self._listing = True
            self.run_worker(partial(_list, self._checkpoints), name="list", thread=True)

    def _on_delete_answer(self, run: ListedRun, answer: str | None) -> None:
        if answer == "delete":
            self.run_worker(partial(_delete, run.folder), name="delete", thread=True)

    def _say(self, text: str) -> None:
        self.notify(text, severity="warning", markup=False)

    def _current(self) -> ListedRun | None:
        row = self.query_one(RunTable).cursor_row
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def _draw(self) -> None:
        """Show the known runs and keep the cursor on its run."""
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
        self._draw_title(needle)
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

    def _draw_title(self, needle: str) -> None:
        title = [("Runs", "bold")]
        if self._runs is not None:
            count = f"{len(self._runs):,}"
            title.append((f" · {len(self._shown):,} of {count}" if needle else f" · {count}", ""))
        if self._marked:
            title.append((f" · {MARK} {len(self._marked):,} marked", "bold"))
        title.append((f" · in {printable(str(self._checkpoints))}", ""))  # last: it may be truncated
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
            return "Listing runs…"
        if self._runs:
            return f'No runs match "{needle}"\nesc to show all'
        return f"No runs in {printable(str(self._checkpoints))} yet\nPress esc to go back, then t to train"

    def _columns(self, cells: list[dict[str, str]]) -> tuple[tuple[str, int], ...]:
        """Return the columns that fit, and their widths."""
        widths = column_widths(cells, cell_len)
        fitting = fitting_columns(widths, self.size.width - _MARGIN, gap=_GAP)
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
    """Return the runs, and the error if the folder cannot be read."""
    try:
        return list_runs(checkpoints), ""
    except UserError as error:
        return [], str(error)


def _delete(folder: Path) -> str:
    """Delete a run and return the error, or ""."""
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
