"""A run at work: its state, its figures and its charts."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from cifar_tui.app.charts.view import ChartView
from cifar_tui.app.panes.run_charts import RunCharts
from cifar_tui.app.widgets.figures import RunFigures
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.loading import LoadingView
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.ranks_line import ranks_line
from cifar_tui.app.widgets.state_line import state_line
from cifar_tui.engine.events import Phase
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.state import RunSnapshot

TALL_HEIGHT, DIGITS_HEIGHT, LOW_HEIGHT = 16, 14, 12
"""Heights of the pane from which the charts have a margin, digits are large, and no row is left out."""

FAR = 10
"""Columns that the cursor moves with shift."""


class TrainingPane(Pane, can_focus=True):
    """State, figures and charts of a run."""

    DEFAULT_CSS = """
    TrainingPane {
        layout: vertical;

        #state { height: auto; max-height: 3; text-wrap: wrap; text-overflow: ellipsis; }
        #loading, #figures, #charts, #ranks { display: none; }
        #ranks { height: auto; max-height: 2; text-wrap: wrap; text-overflow: ellipsis; }
        &.-loading #loading { display: block; height: 1fr; align: center middle; padding: 1 2; }
        &.-started {
            #figures, #charts { display: block; }
            &.-ranks #ranks { display: block; }
        }
        #charts { height: 1fr; }
        &.-tall RunCharts { margin-top: 1; }
        &.-cursor {
            /* what is read out takes the place of the latest figures in a low pane */
            RunFigures.-low #training, RunFigures.-low #speed { display: none; }
            RunCharts { margin-top: 0; }
        }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Left", show=False),
        Binding("right", "move(1)", "Right", show=False),
        Binding("shift+left", f"move({-FAR})", "Far left", show=False),
        Binding("shift+right", f"move({FAR})", "Far right", show=False),
    ]

    BORDER_TITLE = "2 Training"
    EMPTY_TEXT = Content.assemble(
        "No run yet\n\nPress ", ("t", "bold $text-accent"), " to train with the current settings"
    )

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot = RunSnapshot()

    def compose(self) -> ComposeResult:
        yield Line(id="state")
        yield from super().compose()
        yield LoadingView(id="loading")
        yield RunFigures(id="figures")
        yield Line(id="ranks")
        yield RunCharts(id="charts")

    def on_mount(self) -> None:
        self.watch(self.charts, "view", self._on_view)
        self._show_snapshot()

    def on_resize(self) -> None:
        height = self.size.height
        self.set_class(height >= TALL_HEIGHT, "-tall")
        figures = self.query_one(RunFigures)
        figures.set_class(height >= DIGITS_HEIGHT, "-digits")
        figures.set_class(height < LOW_HEIGHT, "-low")
        self._show_snapshot()

    @property
    def charts(self) -> RunCharts:
        """The charts, and how they are viewed."""
        return self.query_one(RunCharts)

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the state and the figures of the run."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._show_snapshot()

    def show_curves(self, curves: Curves) -> None:
        """Draw the charts."""
        self.charts.show(curves)

    def value_to_copy(self) -> str:
        """Return what the charts read at their cursor."""
        return self.charts.value_to_copy()

    def action_move(self, columns: int) -> None:
        self.charts.move(columns)

    def _on_view(self, view: ChartView) -> None:
        self.set_class(view.cursor is not None, "-cursor")

    def _show_snapshot(self) -> None:
        snapshot = self._snapshot
        started = snapshot.started is not None
        # of a resumed run the charts are known while its images are loaded
        loading = snapshot.phase is Phase.LOADING and (not started or snapshot.loading is not None)
        self.fill(filled=loading or started)
        self.set_class(loading, "-loading")
        self.set_class(started and not loading, "-started")
        self.query_one("#state", Line).show(state_line(snapshot))
        rows = 2 if self.size.height >= TALL_HEIGHT else 1
        ranks = ranks_line(snapshot, width=self.content_size.width, rows=rows)
        self.set_class(bool(ranks) and self.size.height >= LOW_HEIGHT, "-ranks")
        self.query_one("#ranks", Line).show(ranks)
        if loading:
            self.query_one(LoadingView).show(snapshot.loading)
        if started:
            self.query_one(RunFigures).show(snapshot)
