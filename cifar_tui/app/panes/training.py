"""A run at work: its state, its figures and its charts."""

from collections.abc import Callable
from functools import partial

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive

from cifar_tui.app.charts.curves import (
    MAX_ZOOM,
    SMOOTHING_LEVELS,
    ChartOptions,
    Palette,
    accuracy_chart,
    loss_chart,
)
from cifar_tui.app.widgets.figures import FigureRows, RunFigures
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.loading import LoadingView
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.state_line import state_line
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.engine.events import Phase
from cifar_tui.runs.state import Curves, RunSnapshot

WIDE = 100
"""Columns from which the charts are side by side at any height."""

PAIR_WIDTH, PAIR_HEIGHT = 72, 11
"""The least room for two charts side by side."""

STACK_HEIGHT = 20
"""The least height for one chart above the other."""

TALL_HEIGHT, DIGITS_HEIGHT = 16, 12
"""Heights of the pane from which there is a fourth row of figures, and the loss has large digits."""


class Chart(StripView):
    """A chart that is drawn again when its size changes."""

    def __init__(self, draw: Callable[[int, int], Text], *, id: str) -> None:
        super().__init__(id=id)
        self._draw = draw

    def on_resize(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draw the current data, if the chart is visible."""
        if self.size.area:
            self.show(self._draw(self.size.width, self.size.height))


class TrainingPane(Pane, can_focus=True):
    """State, figures and charts of a run."""

    DEFAULT_CSS = """
    TrainingPane {
        layout: vertical;

        #state { height: auto; max-height: 3; text-wrap: wrap; text-overflow: ellipsis; }
        #loading, #figures, #charts { display: none; }
        &.-loading #loading { display: block; height: 1fr; align: center middle; padding: 1 2; }
        &.-started {
            #figures, #charts { display: block; }
        }

        #figures { height: 3; layout: horizontal; margin-bottom: 0; }
        #loss { display: none; width: auto; margin-right: 1; }
        #loss-label { display: none; width: auto; }
        /* as wide as six characters, so that what is beside it rarely moves */
        #loss-digits { width: auto; min-width: 16; color: $text-accent; }
        FigureRows { width: 1fr; }
        #accuracy { display: none; }
        &.-digits #loss { display: block; }
        &.-tall {
            #figures { height: 4; margin-bottom: 1; }
            #loss-label, #accuracy { display: block; }
        }

        /* One chart, unless the pane is large enough for two. */
        #charts { height: 1fr; layout: vertical; }
        Chart { width: 1fr; height: 1fr; }
        #accuracy-chart { display: none; }
        &.-accuracy-first {
            #loss-chart { display: none; }
            #accuracy-chart { display: block; }
        }
        &.-pair, &.-stacked {
            #loss-chart, #accuracy-chart { display: block; }
        }
        &.-pair {
            #charts { layout: horizontal; }
            #loss-chart { margin-right: 2; }
        }
        &.-stacked #accuracy-chart { margin-top: 1; }
    }
    """

    BORDER_TITLE = "2 Training"
    EMPTY_TEXT = Content.assemble(
        "No run yet\n\nPress ", ("t", "bold $text-accent"), " to train with the current settings"
    )

    log_scale = reactive(default=False, init=False)
    smoothing_level = reactive(2, init=False)
    zoom = reactive(0, init=False)
    accuracy_first = reactive(default=False, init=False, toggle_class="-accuracy-first")
    """Which chart to show if there is room for one only."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot = RunSnapshot()
        self._curves = Curves()

    def compose(self) -> ComposeResult:
        yield Line(id="state")
        yield from super().compose()
        yield LoadingView(id="loading")
        yield RunFigures(id="figures")
        with Container(id="charts"):
            yield Chart(partial(self._draw, loss_chart), id="loss-chart")
            yield Chart(partial(self._draw, accuracy_chart), id="accuracy-chart")

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._redraw_charts())
        self._show_snapshot()

    def on_resize(self) -> None:
        self._arrange()
        self._show_snapshot()

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the state and the figures of the run."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._show_snapshot()

    def show_curves(self, curves: Curves) -> None:
        """Draw the charts."""
        self._curves = curves
        self._redraw_charts()

    def toggle_log_scale(self) -> None:
        """Switch the loss between a linear and a logarithmic axis."""
        self.log_scale = not self.log_scale

    def cycle_smoothing(self) -> None:
        """Cycle smoothing; after the strongest comes none."""
        self.smoothing_level = (self.smoothing_level + 1) % len(SMOOTHING_LEVELS)

    def zoom_in(self) -> None:
        """Show the last half of the steps shown."""
        self.zoom = min(MAX_ZOOM, self.zoom + 1)

    def zoom_out(self) -> None:
        """Show twice as many steps."""
        self.zoom = max(0, self.zoom - 1)

    def swap_chart(self) -> None:
        """Switch between loss and accuracy if there is room for one chart only."""
        self.accuracy_first = not self.accuracy_first

    def _redraw_charts(self) -> None:
        for chart in self.query(Chart):
            chart.redraw()

    watch_log_scale = watch_smoothing_level = watch_zoom = _redraw_charts

    def _arrange(self) -> None:
        width, height = self.size
        tall, digits = height >= TALL_HEIGHT, height >= DIGITS_HEIGHT
        room = height - (6 if tall else 4)
        stacked = width < WIDE and room >= STACK_HEIGHT
        pair = not stacked and (width >= WIDE or (width >= PAIR_WIDTH and room >= PAIR_HEIGHT))
        self.set_class(tall, "-tall")
        self.set_class(digits, "-digits")
        self.query_one(FigureRows).set_class(not digits, "-with-loss")
        self.set_class(stacked, "-stacked")
        self.set_class(pair, "-pair")

    def _show_snapshot(self) -> None:
        snapshot = self._snapshot
        started = snapshot.started is not None
        loading = snapshot.phase is Phase.LOADING and not started
        self.set_class(loading or started, "-filled")
        self.set_class(loading, "-loading")
        self.set_class(started, "-started")
        self.query_one("#state", Line).show(state_line(snapshot))
        if loading:
            self.query_one(LoadingView).show(snapshot.loading)
        if started:
            self.query_one(RunFigures).show(snapshot)

    def _draw(self, chart: Callable[[Curves, ChartOptions], Text], width: int, height: int) -> Text:
        options = ChartOptions(
            width=width,
            height=height,
            palette=Palette.from_theme(self.app.theme_variables),
            smoothing=SMOOTHING_LEVELS[self.smoothing_level],
            zoom=self.zoom,
            log_scale=self.log_scale,
        )
        return chart(self._curves, options)
