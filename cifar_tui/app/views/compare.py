"""The Compare view: several runs over the same axes, one of them the baseline of all others."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.worker import Worker, WorkerState

from cifar_tui.app.charts.overlay import MOST_RUNS, RunLines
from cifar_tui.app.clipboard import COPY
from cifar_tui.app.dialogs.keys import KeysScreen
from cifar_tui.app.linked import LinkedApp
from cifar_tui.app.panes.compared_classes import ComparedClassesPane
from cifar_tui.app.panes.compared_curves import ComparedCurvesPane, ComparedRunsTable, CurveRow
from cifar_tui.app.panes.compared_images import ComparedImagesPane, ImageComparison, ImageList
from cifar_tui.app.panes.compared_settings import ComparedSettingsPane
from cifar_tui.app.views.paned import PanedScreen
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.events import Evaluated
from cifar_tui.engine.text import cut
from cifar_tui.runs.comparison import run_label
from cifar_tui.runs.differences import compare_images, other_images, why_not_compared
from cifar_tui.runs.evaluated import read_results
from cifar_tui.runs.followed import FollowedRun, FollowedRuns
from cifar_tui.runs.listing import SIGNS, ListedRun
from cifar_tui.runs.table import state_text

POLL_SECONDS = 0.5
"""How often figures are drawn; the charts at every fourth time, if there are new points."""

_POLLS_OF_CURVES = 4
_LONGEST_LABEL = 20

_Evaluations = tuple[Path, tuple[Evaluated, ...]]
"""The folder of a run, and its evaluations."""

_Compared = tuple[str, ImageComparison | None, str, tuple[str, str]]
"""On which different images the runs were evaluated, their images or why there are none, their labels."""

PANES: dict[str, type[Pane]] = {
    "curves": ComparedCurvesPane,
    "settings": ComparedSettingsPane,
    "classes": ComparedClassesPane,
    "images": ComparedImagesPane,
}
"""The panes by name, in the order of their numbers from 1."""

_HELP = (
    "Differences are against the baseline at the same epoch. Δ test is that of the last evaluation which the "
    "baseline reaches: @ is its epoch, ≈ says that the baseline was evaluated only before and after it. "
    "Δ loss is that of means over the last twentieth of the steps. With a cursor in the charts (x), all "
    "figures are those at the cursor.\n\n"
    "Classes and Images compare the run under the cursor of the table with the baseline."
)


class CompareScreen(PanedScreen[None], ModalScreen[None]):
    """Compares `runs`; the curves are those of the first `MOST_RUNS`.

    Args:
        runs: at least two.
        size: see `PanedScreen`.
    """

    AUTO_FOCUS = ""
    PANES = tuple(PANES)
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"show_pane('{name}')", name.capitalize(), show=False)
            for number, name in enumerate(PANES, 1)
        ),
        Binding("X", "x_axis", "X axis", tooltip="Switch the x axis between steps, epochs and training time"),
        Binding(
            "x", "chart_cursor", "Cursor", tooltip="Read the charts at a cursor (← → move it, esc leaves)"
        ),
        Binding(
            "a", "other_chart", "Other chart", tooltip="Show the next charts (if there is no room for all)"
        ),
        Binding("l", "log_scale", "Log", show=False, tooltip="Switch the loss between linear and log scale"),
        Binding("z", "smoothing", "Smoothing", show=False, tooltip="Cycle smoothing"),
        Binding("plus,equals_sign", "zoom(1)", show=False, key_display="+", tooltip="Zoom in"),
        Binding("minus", "zoom(-1)", show=False, key_display="-", tooltip="Zoom out"),
        Binding("comma", "pan(-1)", show=False, key_display=",", tooltip="Show what is left of the charts"),
        Binding(
            "full_stop", "pan(1)", show=False, key_display=".", tooltip="Show what is right of the charts"
        ),
        COPY,
        Binding("m", "maximise", "Maximise", tooltip="Maximise the pane, or show all panes again"),
        Binding("question_mark", "keys", "Help", key_display="?"),
        Binding("escape", "back", "Back", key_display="esc", tooltip="Go one step back"),
        Binding("q,v", "dismiss(None)", "Back", show=False),
    ]

    def __init__(self, runs: Sequence[ListedRun], size: Size) -> None:
        super().__init__(size)
        self._all = tuple(runs)
        self._followed = FollowedRuns(self._all[:MOST_RUNS])
        began = [run.began for run in self._all[:MOST_RUNS]]
        self._baseline = began.index(min(began))
        self._lines: dict[int, tuple[int, RunLines]] = {}
        self._told: set[str] = set()
        self._polls = 0
        self._curves_due = False
        self._shown_figures: object = None
        self._shown_curves: dict[int, int] = {}
        self._shown_pair: object = None
        self._shown_listed: object = None

    def compose(self) -> ComposeResult:
        yield Line(id="compare-title")
        yield from self.compose_panes(PANES)
        yield self.too_small_notice()
        yield Footer()

    def on_mount(self) -> None:
        self._followed.start()
        self._draw_title()
        self.show_pane(self.PANES[0])
        self._poll()
        self.set_interval(POLL_SECONDS, self._poll)

    def on_unmount(self) -> None:
        self._followed.close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return action != "maximise" or self.has_room_for_all

    @property
    def curves_pane(self) -> ComparedCurvesPane:
        """The charts and the table of their runs."""
        return self.query_one(ComparedCurvesPane)

    def on_compared_runs_table_chosen(self, event: ComparedRunsTable.Chosen) -> None:
        self._baseline = event.place
        self._draw_title()
        self._draw()

    def on_compared_runs_table_moved(self) -> None:
        self._draw_pair()

    # What the keys do

    def action_x_axis(self) -> None:
        self.curves_pane.charts.cycle_unit()

    def action_chart_cursor(self) -> None:
        self.curves_pane.charts.toggle_cursor()
        self.show_pane("curves")

    def action_other_chart(self) -> None:
        charts = self.curves_pane.charts
        charts.next_chart()
        if charts.arrangement()[1] == 2:  # by pairs: loss and test, training and rate
            charts.next_chart()

    def action_log_scale(self) -> None:
        charts = self.curves_pane.charts
        charts.log_scale = not charts.log_scale

    def action_smoothing(self) -> None:
        self.curves_pane.charts.cycle_smoothing()

    def action_zoom(self, direction: int) -> None:
        self.curves_pane.charts.zoom(direction)

    def action_pan(self, direction: int) -> None:
        self.curves_pane.charts.pan(direction)

    def action_move_cursor(self, columns: int) -> None:
        self.curves_pane.charts.move(columns)

    def action_maximise(self) -> None:
        self.maximise()

    def action_back(self) -> None:
        """Leave the cursor of the charts, or show all panes again, or leave."""
        if self.curves_pane.charts.leave_cursor():
            return
        if self.is_maximised:
            self.maximise()
        else:
            self.dismiss(None)

    def action_keys(self) -> None:
        images = (*ImageList.BINDINGS, *ComparedImagesPane.BINDINGS)
        bindings = (*ComparedRunsTable.BINDINGS, *images, *self.BINDINGS)
        self.app.push_screen(KeysScreen("Compare", bindings, _HELP))

    # What is shown

    def _poll(self) -> None:
        """Draw what is new, unless the terminal is behind."""
        self._polls += 1
        self._curves_due |= self._polls % _POLLS_OF_CURVES == 0
        if isinstance(self.app, LinkedApp) and self.app.link_behind:
            return
        self._draw()

    def _draw(self) -> None:
        runs = self._followed.runs
        figures = [_version(run) for run in runs], self._baseline
        if figures != self._shown_figures:
            self._shown_figures = figures
            self._tell_problems(runs)
            self._update_lines(runs)
            self.curves_pane.show([self._row(place, run) for place, run in enumerate(runs)], self._baseline)
            self._draw_pair()
        versions = {place: version for place, (version, _) in self._lines.items()}
        if versions != self._shown_curves and (self._curves_due or len(versions) > len(self._shown_curves)):
            self._shown_curves, self._curves_due = versions, False
            self.curves_pane.show_curves()
        listed = [run.listed for run in runs] + list(self._all[MOST_RUNS:])
        if listed != self._shown_listed:
            self._shown_listed = listed
            self.query_one(ComparedSettingsPane).show(listed)

    def _tell_problems(self, runs: Sequence[FollowedRun]) -> None:
        """Say once why a run cannot be read."""
        for run in runs:
            if run.problem and run.problem not in self._told:
                self._told.add(run.problem)
                self.notify(run.problem, severity="warning", timeout=15)

    def _update_lines(self, runs: Sequence[FollowedRun]) -> None:
        """Take the curves of the runs that have new points."""
        for place, run in enumerate(runs):
            if run.source is not None:
                version = run.source.snapshot().curves_version
                if place not in self._lines or self._lines[place][0] != version:
                    self._lines[place] = version, RunLines(place=place, curves=run.source.curves())

    def _row(self, place: int, run: FollowedRun) -> CurveRow:
        known = self._lines.get(place)
        state = "Reading…" if run.source is None else state_text(run.listed)
        if run.problem:
            state = f"{SIGNS['failed']} unreadable"
        lines = None if known is None else known[1]
        return CurveRow(place=place, label=_label(run.listed), state=state, lines=lines)

    def _draw_title(self) -> None:
        shown, others = self._all[:MOST_RUNS], self._all[MOST_RUNS:]
        parts = [("Compare", "bold"), (f" · {len(self._all)} runs · baseline ", "")]
        parts.append((_label(shown[self._baseline]), "bold"))
        if others:
            names = ", ".join(map(_label, others))
            parts.append((f" · curves of {MOST_RUNS}, without {names}", "$text-warning"))
        self.query_one("#compare-title", Line).show(Content.assemble(*parts))

    # The run under the cursor and the baseline

    @property
    def _pair(self) -> tuple[FollowedRun, FollowedRun]:
        """The run under the cursor, or the next one if that is the baseline, and the baseline."""
        runs = self._followed.runs
        place = self.curves_pane.table.place
        if place == self._baseline:
            place = (place + 1) % len(runs)
        return runs[place], runs[self._baseline]

    def _draw_pair(self) -> None:
        """Compare classes and images, if there is another pair or a new evaluation."""
        run, baseline = self._pair
        snapshots = [None if each.source is None else each.source.snapshot() for each in (run, baseline)]
        evaluations = [None if snapshot is None else snapshot.evaluated for snapshot in snapshots]
        phases = [None if snapshot is None else snapshot.phase for snapshot in snapshots]
        pair = (run.listed.folder, baseline.listed.folder, evaluations, phases)
        if pair == self._shown_pair:
            return
        self._shown_pair = pair
        labels = (_label(run.listed), _label(baseline.listed))
        self.query_one(ComparedClassesPane).show((evaluations[0], evaluations[1]), labels)
        histories = [() if snapshot is None else snapshot.evaluations for snapshot in snapshots]
        work = partial(
            _compare, (run.listed.folder, histories[0]), (baseline.listed.folder, histories[1]), labels
        )
        self.run_worker(work, name="images", group="images", thread=True, exclusive=True)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        result = event.worker.result
        if event.worker.name == "images" and event.state is WorkerState.SUCCESS and result is not None:
            different, comparison, reason, labels = result
            self.query_one(ComparedImagesPane).show(comparison, reason, labels)
            self.query_one(ComparedClassesPane).show_images(different)


def _version(run: FollowedRun) -> object:
    """Return what changes with what is shown of `run`."""
    if run.source is None:
        return run.listed, run.problem
    snapshot = run.source.snapshot()
    return run.listed, snapshot.version, snapshot.curves_version, snapshot.phase


def _label(run: ListedRun) -> str:
    return cut(run_label(run), _LONGEST_LABEL)


def _compare(run: _Evaluations, baseline: _Evaluations, labels: tuple[str, str]) -> _Compared:
    """Compare the predictions of two runs."""
    ours, theirs = read_results(*run), read_results(*baseline)
    different = other_images(ours, theirs)
    reason = why_not_compared(ours, theirs, different, labels)
    if reason or ours is None or theirs is None:
        return different, None, reason, labels
    found = compare_images(ours, theirs)
    return different, ImageComparison(run=ours, baseline=theirs, found=found), "", labels
