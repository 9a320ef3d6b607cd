"""How far the confidence of a network can be trusted."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content

from cifar_tui.app.charts.frame import Drawing
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.reliability import coverage_chart, reliability_chart
from cifar_tui.app.panes.run_charts import Chart
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.evaluation.statistics import Calibration, accuracy_by_coverage, calibration
from cifar_tui.runs.format import percentage
from cifar_tui.runs.results import Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Coverage = tuple[NDArray[np.float64], NDArray[np.float64]]

_BESIDE_WIDTH, _STACK_HEIGHT = 76, 18
"""The least columns for both charts side by side, and rows for one below the other."""

_KEPT = (0.25, 0.5, 0.8)
"""The shares of images of which the accuracy is said."""

_CALIBRATED = 0.005
"""What confidence and accuracy may differ by to be called equal."""


class ConfidencePane(Pane, can_focus=True):
    """The reliability diagram, and the accuracy by the share of images kept."""

    DEFAULT_CSS = """
    ConfidencePane {
        layout: vertical;

        #confidence-charts { height: 1fr; layout: grid; grid-size: 1; grid-gutter: 0 2; }
        &.-beside #confidence-charts { grid-size: 2; }
        Chart { width: 1fr; height: 1fr; }
        Line { color: $foreground 80%; }
        #calibration { color: $foreground; text-style: bold; }
        &.-filled #confidence-charts { display: block; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "a", "other_chart", "Other chart", tooltip="Show the other chart (if there is no room for both)"
        ),
    ]

    BORDER_TITLE = "4 Confidence"
    EMPTY_TEXT = "How far confidence can be trusted appears after the first evaluation"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._calibration = Calibration(bins=(), error=0.0)
        self._coverage: Coverage | None = None
        self._words: dict[str, tuple[str, ...]] = {}
        self._first = 0

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield Line(id="calibration", classes="content")
        with Container(id="confidence-charts", classes="content"):
            yield Chart(self._draw_reliability, id="reliability-chart")
            yield Chart(self._draw_coverage, id="coverage-chart")
        yield Line(id="coverage", classes="content")

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._redraw())
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return action != "other_chart" or self._has_room_for_one_only

    def show(self, results: Results | None) -> None:
        """Show the latest evaluation; None before the first."""
        self.fill(filled=results is not None)
        if results is None:
            return
        made = results.predictions
        confidences, correct = made.confidences, made.predicted == made.targets
        self._calibration = calibration(confidences, correct)
        self._coverage = accuracy_by_coverage(confidences, correct)
        self._words = {
            "calibration": _calibration_words(confidences, correct, self._calibration.error),
            "coverage": _coverage_words(*self._coverage),
        }
        self._draw_words()
        self._redraw()

    def action_other_chart(self) -> None:
        self._first = 1 - self._first
        self._arrange()

    @property
    def _has_room_for_one_only(self) -> bool:
        return self.size.width < _BESIDE_WIDTH and self.size.height < _STACK_HEIGHT

    def _arrange(self) -> None:
        """Show both charts, or one where there is no room for two."""
        self._draw_words()
        self.set_class(self.size.width >= _BESIDE_WIDTH, "-beside")
        for number, chart in enumerate(self.query(Chart)):
            chart.display = number == self._first or not self._has_room_for_one_only
        self.write_border(
            subtitle=Content("a: other chart" if self._has_room_for_one_only and self.size else "")
        )
        self.refresh_bindings()

    def _draw_words(self) -> None:
        """Write the longest of each of the texts that fits."""
        for name, texts in self._words.items():
            line = self.query_one(f"#{name}", Line)
            line.show(Content(next((text for text in texts if len(text) <= self.size.width), texts[-1])))
            line.display = bool(texts[0])

    def _redraw(self) -> None:
        for chart in self.query(Chart):
            chart.redraw()

    def _draw_reliability(self, width: int, height: int) -> Drawing:
        palette = Palette.from_theme(self.app.theme_variables)
        return reliability_chart(self._calibration, width, height, palette)

    def _draw_coverage(self, width: int, height: int) -> Drawing:
        if self._coverage is None:
            return Drawing(lines=[])
        return coverage_chart(*self._coverage, width, height, Palette.from_theme(self.app.theme_variables))


def _calibration_words(
    confidences: "NDArray[np.floating]", correct: "NDArray[np.bool_]", error: float
) -> tuple[str, ...]:
    """Say how far confidence and accuracy differ, and which of them is larger; from the longest text."""
    mean, accuracy = float(confidences.mean(dtype=float)), float(correct.mean())
    how = "overconfident" if mean > accuracy else "underconfident"
    if abs(mean - accuracy) < _CALIBRATED:
        how = "as confident as accurate"
    figures = f"{percentage(mean, 1)} confident, {percentage(accuracy, 1)} right"
    share = percentage(error, 1)
    return (
        f"Expected calibration error {share} · {how}: {figures}",
        f"ECE {share} · {how}: {figures}",
        f"Calibration error (ECE) {share}",
        f"ECE {share}",
    )


def _coverage_words(shares: "NDArray[np.float64]", accuracies: "NDArray[np.float64]") -> tuple[str, ...]:
    """Say how accurate the most confident images are; from the longest text."""
    if len(shares) < 2:
        return ("",)
    places = [int((shares < share).sum()) for share in _KEPT]
    kept = [f"{100 * shares[place]:.0f} %: {percentage(float(accuracies[place]), 1)}" for place in places]
    return tuple(f"Most confident {' · '.join(kept[:count])}" for count in range(len(kept), 0, -1))
