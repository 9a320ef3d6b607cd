"""The learning-rate range test: its curve while it runs, and the suggestion to take."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from cifar_tui.app.charts.frame import ChartOptions
from cifar_tui.app.charts.lr_curve import lr_chart
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.app.widgets.strip_view import DrawnView
from cifar_tui.engine.optim.lr_range import LrSuggestion
from cifar_tui.engine.text import escaped
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.format import loss_figure, rate_figure
from cifar_tui.runs.range_test import LiveRangeTest

if TYPE_CHECKING:
    from cifar_tui.engine.events import Alert

_POLL_SECONDS = 0.2
_INTERRUPTED = 130


class LrCurve(DrawnView):
    """The curve of `test` so far."""

    def __init__(self, test: LiveRangeTest) -> None:
        super().__init__(id="lr-curve")
        self._test = test

    def redraw(self) -> None:
        suggestion = None if self._test.live else self._test.suggestion
        options = ChartOptions(
            width=self.size.width,
            height=self.size.height,
            palette=Palette.from_theme(self.app.theme_variables),
        )
        suggestion = suggestion if isinstance(suggestion, LrSuggestion) else None
        self.show(lr_chart(self._test.points(), suggestion, self._test.lr_range, options).lines)


class RangeTestDialog(Dialog[LrSuggestion]):
    """Runs `test` and shows it; dismissed with the suggestion if the user takes it, else with None.

    It closes only once the thread of a cancelled test has returned.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Take"),
        Binding("escape,q", "leave", "Cancel"),
    ]

    def __init__(self, test: LiveRangeTest) -> None:
        super().__init__()
        self._test = test
        self._leaving = False
        self._shown: object = None
        self._alert: Alert | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Learning-rate range test"
            yield LrCurve(self._test)
            yield Static(id="lr-status", markup=False)
            yield Static(id="lr-keys", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self._test.start()
        self.set_interval(_POLL_SECONDS, self._poll)
        self._poll()

    def on_unmount(self) -> None:
        self._test.request(Request.STOP)

    def leave(self) -> None:
        """Cancel the test, or close after its end; a second time, do not wait for it."""
        if not self._test.live:
            self.dismiss(None)
        elif self._leaving:
            self.app.exit(_INTERRUPTED)
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Cancel the test; close once it has ended."""
        self._leaving = True
        self._test.request(Request.STOP)
        self._poll()

    def action_take(self) -> None:
        """Close with the suggestion, if there is one."""
        if isinstance(self._test.suggestion, LrSuggestion):
            self.dismiss(self._test.suggestion)

    def _poll(self) -> None:
        live = self._test.live  # first: what is read afterwards is then the end of it
        if self._leaving and not live:
            self.dismiss(None)
            return
        state = (live, self._leaving, self._test.snapshot().version)
        if state != self._shown:
            self._shown = state
            self._show_alert()
            suggestion = None if live else self._test.suggestion
            self.query_one(LrCurve).redraw()
            self.query_one("#lr-status", Static).update(self._status(suggestion))
            self.query_one("#lr-keys", Static).update(self._keys(suggestion, live=live))

    def _show_alert(self) -> None:
        """Say once what is left out of the images, as a run does."""
        alert = self._test.snapshot().alert
        if alert is not None and alert is not self._alert:
            self._alert = alert
            self.notify(escaped(alert.text), severity="warning", timeout=15, markup=False)

    def _status(self, suggestion: LrSuggestion | str | None) -> Content:
        snapshot, points = self._test.snapshot(), self._test.points()
        if snapshot.ended is not None and snapshot.ended.error:
            return Content.styled(f"✗ {escaped(snapshot.ended.error)}", "$text-error")
        if isinstance(suggestion, str):
            return Content(suggestion)
        if suggestion is not None:
            return Content(self._advice(suggestion))
        if self._leaving:
            return Content("Cancelling…")
        if not points:
            return Content(escaped(_loading(self._test)))
        last, steps = points[-1], self._test.lr_range.steps
        share = f"{100 * last.step // steps} %"
        figures = f"lr {rate_figure(last.learning_rate)} · loss {loss_figure(last.smoothed)}"
        return Content(f"step {last.step:,} of {steps:,} · {share} · {figures}")

    def _advice(self, suggestion: LrSuggestion) -> str:
        taken = suggestion.settings(self._test.config)
        settings = ", ".join(f"{name} {rate_figure(rate)}" for name, rate in taken.items())
        least, tenth = rate_figure(suggestion.minimum), rate_figure(suggestion.minimum / 10)
        more = "; it still falls at the end" if suggestion.still_falling else ""
        return f"Steepest descent: {settings}. Least loss at {least} (a tenth: {tenth}){more}"

    def _keys(self, suggestion: LrSuggestion | str | None, *, live: bool) -> str:
        if isinstance(suggestion, LrSuggestion):
            return f"enter take {rate_figure(suggestion.learning_rate)} · esc close"
        return "esc cancel" if live else "esc close"


def _loading(test: LiveRangeTest) -> str:
    snapshot = test.snapshot()
    loading = snapshot.loading
    if loading is None:
        return f"loading: {snapshot.message}"
    share = f" ({100 * loading.done // loading.total} %)" if loading.total else ""
    return f"loading: {loading.stage}{share}"
