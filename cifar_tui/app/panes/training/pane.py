"""The pane that shows a run at work: its state, its counters and its curves."""

from collections.abc import Callable

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from cifar_tui.app.charts.curves import MAX_ZOOM, SMOOTHING_LEVELS, Palette, accuracy_chart, loss_chart
from cifar_tui.app.panes.training.figures import Rows, RunFigures
from cifar_tui.app.panes.training.loading import LoadingView
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.state_line import state_line
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.engine.events import Phase
from cifar_tui.runs.state import Curves, RunSnapshot

WIDE = 100
"""From so many columns on, the charts stand side by side whatever the height."""

PAIR_WIDTH, PAIR_HEIGHT = 72, 11
"""The least room for two charts side by side."""

STACK_HEIGHT = 20
"""The least height for one chart above the other."""

TALL_HEADER, DIGITS_HEADER = 16, 12
"""Rows of the pane from which the counters get a fourth row, and the loss large digits."""


IDLE_TEXT = Content.assemble(
    ("no training yet", "$foreground 60%"),
    "\n\n",
    ("t", "bold $text-accent"),
    " trains with the settings in Configuration",
)


class Chart(StripView):
    """A chart that draws itself again when its size changes."""

    def __init__(self, draw: Callable[[int, int], Text], *, id: str) -> None:
        super().__init__(id=id)
        self._draw = draw

    def on_resize(self) -> None:
        """Fit the chart."""
        self.redraw()

    def redraw(self) -> None:
        """Draw the data as it is now, if the chart can be seen."""
        if self.size.area:
            self.show(self._draw(self.size.width, self.size.height))


class TrainingPane(Pane):
    """State, loss, progress and curves of a run."""

    BORDER_TITLE = "2 Training"
    can_focus = True

    log_scale = reactive(default=False, init=False)
    smoothing_level = reactive(2, init=False)
    zoom = reactive(0, init=False)
    accuracy_first = reactive(default=False, init=False)
    """Where there is room for one chart only, whether it is the accuracy."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot = RunSnapshot()
        self._curves = Curves()

    def compose(self) -> ComposeResult:
        """All parts; `show` decides which are seen."""
        yield Line(id="state")
        yield Static(IDLE_TEXT, id="idle")
        yield LoadingView(id="loading")
        yield RunFigures(id="figures")
        with Container(id="charts"):
            yield Chart(self._draw_loss, id="loss-chart")
            yield Chart(self._draw_accuracy, id="accuracy-chart")

    def on_mount(self) -> None:
        """Follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._redraw_charts())
        self._show_snapshot()

    def on_resize(self) -> None:
        """Arrange the parts for the size."""
        self._arrange()
        self._show_snapshot()

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run as it is now; costs next to nothing where nothing changed."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._show_snapshot()

    def show_curves(self, curves: Curves) -> None:
        """Draw the curves."""
        self._curves = curves
        self._redraw_charts()

    def toggle_log_scale(self) -> None:
        """Change between a linear and a logarithmic axis of the loss."""
        self.log_scale = not self.log_scale

    def cycle_smoothing(self) -> None:
        """Go to the next level of smoothing, after the last to none."""
        self.smoothing_level = (self.smoothing_level + 1) % len(SMOOTHING_LEVELS)

    def zoom_in(self) -> None:
        """Show the last half of the steps shown."""
        self.zoom = min(MAX_ZOOM, self.zoom + 1)

    def zoom_out(self) -> None:
        """Show twice as many steps."""
        self.zoom = max(0, self.zoom - 1)

    def swap_chart(self) -> None:
        """Where there is room for one chart only, change between loss and accuracy."""
        self.accuracy_first = not self.accuracy_first

    def watch_log_scale(self) -> None:
        """Draw again."""
        self._redraw_charts()

    watch_smoothing_level = watch_log_scale
    watch_zoom = watch_log_scale

    def watch_accuracy_first(self, accuracy_first: bool) -> None:
        """Show the other chart; it draws itself when it gets its size."""
        self.set_class(accuracy_first, "-accuracy-first")

    def _arrange(self) -> None:
        width, height = self.size
        tall_header, digits = height >= TALL_HEADER, height >= DIGITS_HEADER
        room = height - (6 if tall_header else 4)
        stacked = width < WIDE and room >= STACK_HEIGHT
        pair = not stacked and (width >= WIDE or (width >= PAIR_WIDTH and room >= PAIR_HEIGHT))
        self.set_class(tall_header, "-tall")
        self.set_class(digits, "-digits")
        self.query_one(Rows).set_class(not digits, "-with-loss")
        self.set_class(stacked, "-stacked")
        self.set_class(pair, "-pair")

    def _show_snapshot(self) -> None:
        snapshot = self._snapshot
        live = snapshot.started is not None
        self.set_class(snapshot.phase is Phase.LOADING and not live, "-loading")
        self.set_class(live, "-live")
        self.query_one("#state", Line).show(state_line(snapshot))
        if self.has_class("-loading"):
            self.query_one(LoadingView).show(snapshot.loading)
        if snapshot.started is not None:
            self.query_one(RunFigures).show(snapshot)

    def _redraw_charts(self) -> None:
        for chart in self.query(Chart):
            chart.redraw()

    def _draw_loss(self, width: int, height: int) -> Text:
        return loss_chart(
            self._curves,
            width=width,
            height=height,
            palette=self._palette,
            log_scale=self.log_scale,
            smoothing=SMOOTHING_LEVELS[self.smoothing_level],
            zoom=self.zoom,
        )

    def _draw_accuracy(self, width: int, height: int) -> Text:
        return accuracy_chart(
            self._curves,
            width=width,
            height=height,
            palette=self._palette,
            smoothing=SMOOTHING_LEVELS[self.smoothing_level],
            zoom=self.zoom,
        )

    @property
    def _palette(self) -> Palette:
        return Palette.from_theme(self.app.theme_variables)
