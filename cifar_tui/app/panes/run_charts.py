"""The charts of a run: as many side by side as there is room for, with zoom, a cursor and what it reads."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.events import MouseDown, MouseMove
from textual.message import Message
from textual.reactive import reactive

from cifar_tui.app.charts.cursor import read, reading_line
from cifar_tui.app.charts.curves import SMOOTHING_LEVELS, accuracy_chart, loss_chart, rate_chart
from cifar_tui.app.charts.frame import ChartOptions, Drawing
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.view import ChartView, XUnit, moved, panned, pointed, step_at, steps_shown, zoomed
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.runs.curves import Curves

WIDE, VERY_WIDE = 100, 120
"""Columns from which two and three charts are side by side at any height."""

PAIR_WIDTH, PAIR_HEIGHT = 72, 8
"""The least room for two charts side by side."""

STRIP_HEIGHT, STACK_HEIGHT, STACK_STRIP_HEIGHT = 18, 18, 24
"""Heights from which there is room below a pair for a low chart, for a stack of two, and for both."""


class Chart(StripView):
    """A chart that is drawn again when its size changes, and says where the mouse points into it."""

    class Pointed(Message):
        """The mouse points to `share` (0-1) of the x axis."""

        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

    def __init__(self, draw: Callable[[int, int], Drawing], *, id: str) -> None:
        super().__init__(id=id)
        self._draw = draw
        self._plot = range(0)

    @property
    def columns(self) -> int:
        """Columns that the x axis spans; 0 if there is none."""
        return len(self._plot)

    def on_resize(self) -> None:
        self.redraw()

    def on_mouse_down(self, event: MouseDown) -> None:
        self._point(event.x)

    def on_mouse_move(self, event: MouseMove) -> None:
        if event.button:
            self._point(event.x)

    def redraw(self) -> None:
        """Draw the current data, if the chart is visible."""
        self._plot = range(0)
        if self.is_on_screen:
            drawing = self._draw(self.size.width, self.size.height)
            self._plot = drawing.plot
            self.show(drawing.lines)

    def _point(self, column: int) -> None:
        if column in self._plot:
            self.post_message(self.Pointed((column - self._plot.start + 0.5) / len(self._plot)))


class RunCharts(Container):
    """Loss, accuracy and learning rate over the same x axis, and the values at the cursor."""

    DEFAULT_CSS = """
    RunCharts {
        layout: vertical;

        #reading { display: none; height: auto; max-height: 2; text-wrap: wrap; text-overflow: ellipsis; }
        &.-cursor #reading { display: block; }
        #chart-grid { height: 1fr; layout: grid; grid-size: 1; grid-gutter: 1 2; }
        Chart { width: 1fr; height: 1fr; }

        &.-triple #chart-grid { grid-size: 3; }
        &.-pair #chart-grid, &.-pair-strip #chart-grid { grid-size: 2; }
        &.-pair-strip #chart-grid { grid-rows: 1fr 6; }
        &.-pair-strip #rate-chart { column-span: 2; }
        &.-stack-strip #chart-grid { grid-rows: 1fr 1fr 6; }
    }
    """

    log_scale = reactive(default=False, init=False)
    smoothing_level = reactive(2, init=False)
    view = reactive(ChartView(), init=False)
    first = reactive(0, init=False)
    """The number of the first chart to show if there is no room for all."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._curves = Curves()
        self._arrangement, self._slots = "-single", 1

    def compose(self) -> ComposeResult:
        yield Line(id="reading")
        with Container(id="chart-grid"):
            yield Chart(partial(self._draw, loss_chart), id="loss-chart")
            yield Chart(partial(self._draw, accuracy_chart), id="accuracy-chart")
            yield Chart(partial(self._draw, rate_chart), id="rate-chart")

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self.redraw())
        self.watch_first()

    def on_resize(self) -> None:
        self.remove_class(self._arrangement)
        self._arrangement, self._slots = self.arrangement()
        self.add_class(self._arrangement)
        self.watch_first()

    def on_chart_pointed(self, event: Chart.Pointed) -> None:
        self.view = pointed(self._curves, self.view, step_at(self._curves, self.view, event.share))

    def show(self, curves: Curves) -> None:
        """Draw the charts."""
        if not curves.loss and not curves.test_accuracy:  # another run
            self.view = replace(self.view, zoom=0, window=None, cursor=None)
        self._curves = curves
        self.redraw()

    def redraw(self) -> None:
        """Draw the current data again."""
        cursor = self.view.cursor
        self.set_class(cursor is not None, "-cursor")
        if cursor is not None:
            self.query_one("#reading", Line).show(Content(self.reading(cursor)))
        for chart in self.query(Chart):
            chart.redraw()

    def arrangement(self) -> tuple[str, int]:
        """Return the class of the arrangement that fits, and how many charts it shows."""
        return _arrangement(*self.size)

    def reading(self, cursor: float) -> str:
        """Return what the charts read at `cursor`."""
        return reading_line(read(self._curves, cursor))

    def value_to_copy(self) -> str:
        """Return what is read out at the cursor; "" without one."""
        return "" if self.view.cursor is None else self.reading(self.view.cursor)

    watch_log_scale = watch_smoothing_level = watch_view = redraw

    def watch_first(self) -> None:
        """Show as many charts as there is room for."""
        charts = list(self.query(Chart))
        shown = {(self.first + slot) % len(charts) for slot in range(self._slots)}
        for number, chart in enumerate(charts):
            chart.display = number in shown

    def cycle_smoothing(self) -> None:
        """Cycle smoothing; after the strongest comes none."""
        self.smoothing_level = (self.smoothing_level + 1) % len(SMOOTHING_LEVELS)

    def cycle_unit(self) -> None:
        """Cycle the x axis through steps, epochs and training time."""
        units = list(XUnit)
        self.view = replace(self.view, unit=units[(units.index(self.view.unit) + 1) % len(units)])

    def zoom(self, direction: int) -> None:
        """Show half (1) or twice (-1) the steps."""
        self.view = zoomed(self._curves, self.view, direction)

    def pan(self, direction: int) -> None:
        """Show earlier (-1) or later (1) steps."""
        self.view = panned(self._curves, self.view, direction)

    def move(self, columns: int) -> None:
        """Move the cursor by `columns`, or without one show other steps."""
        if self.view.cursor is None:
            self.pan(1 if columns > 0 else -1)
        else:
            width = min((chart.columns for chart in self.query(Chart) if chart.columns), default=1)
            self.view = moved(self._curves, self.view, columns / width)

    def toggle_cursor(self) -> None:
        """Put the cursor on the latest point shown, or leave it."""
        if self.view.cursor is None:
            self.view = pointed(self._curves, self.view, steps_shown(self._curves, self.view)[1])
        else:
            self.leave_cursor()

    def leave_cursor(self) -> bool:
        """Take the cursor away; return whether there was one."""
        had_cursor = self.view.cursor is not None
        self.view = replace(self.view, cursor=None)
        return had_cursor

    def next_chart(self) -> None:
        """Show the next chart if there is no room for all."""
        self.first = (self.first + 1) % len(self.query(Chart))

    def _draw(self, chart: Callable[[Curves, ChartOptions], Drawing], width: int, height: int) -> Drawing:
        return chart(self._curves, self.options(width, height))

    def options(self, width: int, height: int) -> ChartOptions:
        """Return how a chart of this size is drawn now."""
        return ChartOptions(
            width=width,
            height=height,
            palette=Palette.from_theme(self.app.theme_variables),
            smoothing=SMOOTHING_LEVELS[self.smoothing_level],
            view=self.view,
            log_scale=self.log_scale,
        )


def _arrangement(width: int, height: int) -> tuple[str, int]:
    if width < WIDE and height >= STACK_STRIP_HEIGHT:
        return "-stack-strip", 3
    if width >= PAIR_WIDTH and height >= STRIP_HEIGHT:
        return "-pair-strip", 3
    if width >= VERY_WIDE:
        return "-triple", 3
    if width >= WIDE or (width >= PAIR_WIDTH and height >= PAIR_HEIGHT):
        return "-pair", 2
    return ("-stack", 2) if height >= STACK_HEIGHT else ("-single", 1)
