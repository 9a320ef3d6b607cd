"""The Runs view: opens, resumes, names, compares, stops and deletes runs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Label, Static
from textual.worker import Worker, WorkerState

from cifar_tui.app.dialogs.keys import KeysScreen
from cifar_tui.app.dialogs.run_questions import DeleteDialog, EpochsDialog, RenameDialog, StopDialog
from cifar_tui.app.linked import LinkedScreen
from cifar_tui.app.views.compare import CompareScreen
from cifar_tui.app.views.run_list import RunList, list_all, problem_of
from cifar_tui.app.views.run_table import MARK, FilterInput, RunTable
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.line import Line
from cifar_tui.runs.comparison import run_label
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.store import check_name, write_name
from cifar_tui.runs.listing import LIVE, ListedRun, delete_run
from cifar_tui.runs.resume_config import own_epochs, why_not_resumable
from cifar_tui.runs.sweep.scheduler import stop_sweep
from cifar_tui.runs.sweep.store import delete_sweep
from cifar_tui.runs.sweep.tree import ListedSweep, arrange, heading_rows
from cifar_tui.runs.table import GAP, Order, RunsTable, build_table, details_text

REFRESH_SECONDS = 2.0
"""How often the list is refreshed."""

_AT_WORK = (WorkerState.PENDING, WorkerState.RUNNING)
_MARGIN = 4 + GAP
"""Cells of a row beside its columns: the mark, the space at both ends and the scrollbar."""

_HELP = (
    "Filter by words that occur anywhere in a row, or by settings and columns: lr=0.01, optimizer=adamw, "
    "state=stopped. Separate terms by spaces; all must match.\n\n"
    "Columns show the settings in which the runs differ. A click on a heading sorts by it. "
    "v compares the marked runs. x applies to them if the cursor is on one of them, else to the run under it."
    "\n\nThe runs of a sweep are together, in groups over seeds; enter folds and unfolds them. "
    "★ is the best by validation accuracy (val)."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunChoice:
    """What to do with the run in `folder`; `epochs` to resume it with, None for its own."""

    action: Literal["open", "resume"]
    folder: Path
    epochs: int | None = None


class RunsScreen(LinkedScreen[RunChoice | None], ModalScreen[RunChoice | None]):
    """Lists all runs, the newest first, those of a sweep together; dismissed with a `RunChoice`, or None.

    Args:
        checkpoints: the folder that holds the runs.
        form_epochs: the epochs in the form; 0 while they are invalid.
        why_busy: says why no run can be resumed now; "" if one can.
    """

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "resume", "Resume", tooltip="Resume the run from its last checkpoint"),
        Binding("u", "try_resume", show=False),
        Binding("space", "mark", "Mark", tooltip="Mark the run, to compare or delete several"),
        Binding("a", "mark_all", "Mark all", show=False, tooltip="Mark all runs shown, or none"),
        Binding(
            "v", "compare", "Compare", tooltip="Compare the marked runs: curves, settings, classes, images"
        ),
        Binding("v", "try_compare", show=False),
        # with priority, so that keys typed ahead reach the field
        Binding(
            "slash",
            "filter",
            "Filter",
            key_display="/",
            priority=True,
            tooltip="Filter the runs by words or settings, such as lr=0.01",
        ),
        Binding("x", "stop", "Stop", tooltip="Stop a run that is active (asks first)"),
        Binding("x", "delete", "Delete", tooltip="Delete the run (asks first)"),
        Binding("question_mark", "keys", "Help", key_display="?"),
        Binding("escape", "clear_filter", "Show all", key_display="esc"),
        Binding("escape", "leave", "Back", key_display="esc"),
        Binding("s", "sort", "Sort", key_display="s/S", tooltip="Sort by the next column, or reverse (S)"),
        Binding("S", "reverse", show=False),
        Binding("n", "rename", "Name", tooltip="Name the run"),
        Binding("q,h", "dismiss(None)", "Back", show=False),
    ]

    def __init__(
        self, checkpoints: Path, *, form_epochs: int = 0, why_busy: Callable[[], str] = lambda: ""
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._form_epochs = form_epochs
        self._why_busy = why_busy
        self._found = RunList()
        self._listing = False
        self._unusual: set[str] = set()  # see `arrange`
        self._marked: set[str] = set()
        self._order = Order()
        self._table = RunsTable(columns=(), runs=(), rows=(), differing=())

    def compose(self) -> ComposeResult:
        yield Line(id="runs-title")
        with Horizontal(id="runs-filter"):
            yield Label("Filter")
            yield FilterInput(placeholder="words, or a setting such as lr=0.01", compact=True)
        yield RunTable()
        yield Static(id="no-runs", markup=False)
        yield Line(id="runs-details")
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
            case "clear_filter" | "leave":
                return self.query_one("#runs-filter").display == (action == "clear_filter")
            case "resume":  # beside marks or a filter there is no room for it in the footer
                run, room = self._current(), not (self._marked or self._needle)
                return room and run is not None and not self._why_not_resumable(run)
            case "stop":
                return self._targets_are_live()
            case "delete":
                return bool(self._targets() or self._current_sweep()) and not self._targets_are_live()
            case "compare":
                return bool(self._marked)
            case "try_resume" | "try_compare" | "mark" | "mark_all" | "rename" | "sort" | "reverse":
                return bool(self._table.runs)
            case _:
                return True

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        row = self.query_one(RunTable).row_at(event.cursor_row)  # a key typed since may have moved the cursor
        if row is not None and row.run is not None:
            self.dismiss(RunChoice(action="open", folder=row.run.folder))
        elif row is not None:
            self._unusual ^= {row.key}
            self._draw()

    def on_data_table_row_highlighted(self) -> None:
        self._draw_details()
        self.refresh_bindings()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        if event.column_index > 0:  # the first one is that of the marks
            self._sort_by(self._order.by(self._table.columns[event.column_index - 1].key))

    # What the keys do

    def action_try_resume(self) -> None:
        """Resume the run under the cursor, or say why not."""
        run = self._current()
        if run is None:
            return
        problem, own = self._why_not_resumable(run), own_epochs(run)
        if problem:
            self._say(problem)
        elif not own or self._form_epochs <= own:
            self.dismiss(RunChoice(action="resume", folder=run.folder))
        else:
            dialog = EpochsDialog(
                run_label(run), own=own, form=self._form_epochs, finished=run.state == "done"
            )
            answers = {"own": own, "form": self._form_epochs}
            self.app.push_screen(dialog, partial(self._on_epochs_answer, run.folder, answers))

    action_resume = action_try_resume

    def _why_not_resumable(self, run: ListedRun) -> str:
        return why_not_resumable(run, self._form_epochs) or self._why_busy()

    def _on_epochs_answer(self, folder: Path, answers: dict[str, int], answer: str | None) -> None:
        if answer in answers:
            self.dismiss(RunChoice(action="resume", folder=folder, epochs=answers[answer]))

    def action_mark(self) -> None:
        row = self.query_one(RunTable).current_row
        if row is not None:
            self._mark({run.name for run in row.runs})

    def action_mark_all(self) -> None:
        self._mark({run.name for run in self._table.runs})

    def _mark(self, names: set[str]) -> None:
        """Mark the runs with these IDs, or unmark them if all of them are marked."""
        self._marked = self._marked - names if names <= self._marked else self._marked | names
        self._draw()

    def action_try_compare(self) -> None:
        """Compare the marked runs, or say that some must be marked first."""
        match self._marked_runs():
            case [] | [_]:
                self._say("Mark at least two runs with space to compare them.")
            case marked:
                self.app.push_screen(CompareScreen(marked, self.app.size), lambda _: self._list())

    action_compare = action_try_compare

    def action_filter(self) -> None:
        self.query_one("#runs-filter").display = True
        self.set_focus(self.query_one(FilterInput))

    def action_keep_filter(self) -> None:
        self._draw()  # what was typed may not have arrived: the next key must not act on another run
        self.query_one("#runs-filter").display = bool(self._needle)
        self.set_focus(self.query_one(RunTable))

    def action_clear_filter(self) -> None:
        self.query_one(FilterInput).value = ""
        self.action_keep_filter()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_sort(self) -> None:
        self._sort_by(self._order.next([column.key for column in self._table.columns]))

    def action_reverse(self) -> None:
        self._sort_by(self._order.by(self._order.column))

    def _sort_by(self, order: Order) -> None:
        self._order = order
        self._draw()

    def action_rename(self) -> None:
        run = self._current()
        if run is None:
            return
        folder = run.folder

        def on_answer(name: str | None) -> None:
            if name is not None and name != run.title:
                self._work("rename", partial(write_name, folder, name))

        dialog = RenameDialog(run.name, run.title, partial(check_name, folder.parent, own=folder))
        self.app.push_screen(dialog, on_answer)

    def action_stop(self) -> None:
        runs, sweep = self._targets(), self._current_sweep()
        if sweep is not None and not sweep.live:  # its process was killed, its runs continue
            sweep = None
        labels = [run_label(run) for run in runs] if sweep is None else [sweep.label]

        def on_answer(answer: str | None) -> None:
            if answer != "stop":
                return
            if sweep is not None:
                self._work("stop", partial(stop_sweep, sweep.folder))
            else:
                for run in runs:
                    self._work("stop", partial(send_request, run.folder, Request.STOP))
            self.notify(f"Stopping {', '.join(labels)}…")

        self.app.push_screen(StopDialog(labels, sweep=sweep is not None), on_answer)

    def action_delete(self) -> None:
        targets = self._targets()
        ended = [run for run in targets if run.state not in LIVE]
        live = [run_label(run) for run in targets if run.state in LIVE]
        sweep = self._current_sweep()

        def on_answer(answer: str | None) -> None:
            if answer == "delete":
                for run in ended:
                    self._work("delete", partial(delete_run, run.folder))
                if sweep is not None and len(ended) == len(sweep.runs):
                    self._work("delete", partial(delete_sweep, sweep.folder))

        if sweep is not None and not sweep.runs:
            dialog = DeleteDialog([sweep.label], sweep=True)
        else:
            dialog = DeleteDialog([run_label(run) for run in ended], live)
        self.app.push_screen(dialog, on_answer)

    def action_keys(self) -> None:
        self.app.push_screen(KeysScreen("Runs", (*RunTable.BINDINGS, *self.BINDINGS), _HELP))

    # What happens in threads: a slow disk must not block the screen

    def _list(self) -> None:
        """List the runs, one listing at a time, unless a comparison covers them."""
        if not (self._listing or isinstance(self.app.screen, CompareScreen)):
            self._listing = True
            self.run_worker(partial(list_all, self._checkpoints), name="list", thread=True)

    def _work(self, name: str, work: Callable[[], None]) -> None:
        self.run_worker(partial(problem_of, work), name=name, thread=True)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state in _AT_WORK:
            return
        succeeded = event.state is WorkerState.SUCCESS
        if event.worker.name == "list":
            self._listing = False
            if succeeded:
                self._found = event.worker.result or RunList(runs=[])
                self._draw()
        elif succeeded:
            if event.worker.result:
                self._say(event.worker.result)
            self._list()

    # What is shown

    @property
    def _needle(self) -> str:
        return self.query_one(FilterInput).value

    def on_input_changed(self) -> None:
        self._draw()

    def _say(self, text: str) -> None:
        self.notify(text, severity="warning")

    def _current(self) -> ListedRun | None:
        return self.query_one(RunTable).current

    def _targets(self) -> list[ListedRun]:
        """Return the marked runs if the cursor is on some of them, else those under the cursor."""
        row = self.query_one(RunTable).current_row
        own = [] if row is None else list(row.runs)
        return self._marked_runs() if own and self._marked.issuperset(run.name for run in own) else own

    def _current_sweep(self) -> ListedSweep | None:
        row = self.query_one(RunTable).current_row
        return row.sweep if row is not None else None

    def _marked_runs(self) -> list[ListedRun]:
        return [run for run in self._table.runs if run.name in self._marked]

    def _targets_are_live(self) -> bool:
        if (sweep := self._current_sweep()) is not None and sweep.live:
            return True
        states = [run.state for run in self._targets()]
        return bool(states) and all(state in LIVE for state in states)

    def _draw(self) -> None:
        """Show the known runs and keep the cursor on its run."""
        runs, table = self._found.runs or [], self.query_one(RunTable)
        sweeps = self._found.sweeps_shown(self._needle)
        self._marked &= {run.name for run in runs}
        room = self.size.width - _MARGIN
        self._table = build_table(
            runs, needle=self._needle, order=self._order, width=room, headings=heading_rows(sweeps)
        )
        tree = arrange(self._table, sweeps, self._unusual)
        self._draw_title(is_empty=not tree)
        table.show(self._table.columns, tree, self._marked)
        self._draw_details()
        self.refresh_bindings()

    def _draw_title(self, *, is_empty: bool) -> None:
        shown = len(self._table.runs) if self._needle else None
        title = self._found.title(self._checkpoints, self._order, shown=shown, width=self.size.width)
        self.query_one("#runs-title", Line).show(Content.assemble(*title))
        words, table = self.query_one("#no-runs", Static), self.query_one(RunTable)
        words.update(self._found.why_empty(self._checkpoints, self._needle))
        words.display, table.display = is_empty, not is_empty
        if self.focused is None:
            self.set_focus(table)

    def _draw_details(self) -> None:
        """Say in one line how many runs are marked, and what the columns have no room for."""
        row = self.query_one(RunTable).current_row
        text = row.details if row is not None else ""
        if row is not None and row.run is not None:
            text = f"{run_label(row.run)} · {details_text(row.run, self._table)}"
        marks = (f"{MARK} {len(self._marked):,} marked", "bold"), " · space unmarks · a marks all or none · "
        self.query_one("#runs-details", Line).show(Content.assemble(*(marks if self._marked else ()), text))
