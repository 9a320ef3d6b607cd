"""The charts of several runs over the same x axis."""

from functools import partial

from textual.app import ComposeResult
from textual.containers import Container

from cifar_tui.app.charts.axes import time_label
from cifar_tui.app.charts.frame import Drawing
from cifar_tui.app.charts.overlay import (
    METRICS,
    Metric,
    RunLines,
    common_unit,
    converted,
    extent,
    overlay_chart,
)
from cifar_tui.app.charts.view import ChartView, XUnit, run_steps, steps_shown
from cifar_tui.app.panes.run_charts import PAIR_HEIGHT, PAIR_WIDTH, STACK_HEIGHT, Chart, RunCharts
from cifar_tui.app.widgets.line import Line

_QUAD_HEIGHT = 20
"""The least height of two charts above two others."""


class OverlayCharts(RunCharts):
    """Loss, test accuracy, training accuracy and learning rate of several runs.

    The window and the cursor of `view` are in its unit, of which the runs have to know all.
    """

    DEFAULT_CSS = """
    OverlayCharts {
        &.-quad #chart-grid { grid-size: 2; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(RunCharts.view, ChartView(unit=XUnit.EPOCH))
        self._runs: tuple[RunLines, ...] = ()

    def compose(self) -> ComposeResult:
        yield Line(id="reading")
        with Container(id="chart-grid"):
            for name, metric in METRICS.items():
                yield Chart(partial(self._draw_metric, metric), id=f"{name}-chart")

    @property
    def cursor(self) -> float | None:
        """Where the cursor is, in the unit of the view."""
        return self.view.cursor

    def show_runs(self, runs: tuple[RunLines, ...]) -> None:
        """Draw the charts of `runs`."""
        self._runs = runs
        unit = common_unit(runs, self.view.unit)
        if unit is not self.view.unit:
            self._set_unit(unit)
        self._curves = extent(runs, self.view.unit)
        self.redraw()

    def cycle_unit(self) -> None:
        """Cycle the x axis through what all runs know of steps, epochs and training time."""
        units = list(XUnit)
        later = units[units.index(self.view.unit) + 1 :] + units
        self._set_unit(next(unit for unit in later if common_unit(self._runs, unit) is unit))

    def arrangement(self) -> tuple[str, int]:
        width, height = self.size
        if width >= PAIR_WIDTH and height >= _QUAD_HEIGHT:
            return "-quad", 4
        if width >= PAIR_WIDTH and height >= PAIR_HEIGHT:
            return "-pair", 2
        return ("-stack", 2) if height >= STACK_HEIGHT else ("-single", 1)

    def reading(self, cursor: float) -> str:
        match self.view.unit:
            case XUnit.STEP:
                return f"step {cursor:,.0f}"
            case XUnit.EPOCH:
                return f"epoch {cursor:.2f}"
            case XUnit.TIME:
                return f"after {time_label(round(cursor, 1))} of training"

    def _set_unit(self, unit: XUnit) -> None:
        """Change the x axis and show the same part of the longest run as before."""
        longest = max(self._runs, key=lambda run: run_steps(run.curves)[1], default=None)
        before, view = self.view.unit, ChartView(unit=unit, zoom=self.view.zoom)
        if longest is not None and len(longest.points["loss"][0]):
            view = converted(self.view, longest, (before, unit))
        self._curves = extent(self._runs, unit)
        self.view = view

    def _draw_metric(self, metric: Metric, width: int, height: int) -> Drawing:
        shown = steps_shown(self._curves, self.view)
        return overlay_chart(self._runs, metric, shown, self.options(width, height))
