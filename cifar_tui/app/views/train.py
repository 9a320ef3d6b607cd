"""The Train view: all panes side by side where they fit, else one at a time."""

from bisect import bisect_left, bisect_right
from dataclasses import replace
from functools import partial

from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from cifar_tui.app.panes.log import SIGNS, LogPane
from cifar_tui.app.panes.samples import SamplesPane
from cifar_tui.app.panes.settings.pane import SettingsPane
from cifar_tui.app.panes.summary import SummaryPane
from cifar_tui.app.panes.training import TrainingPane
from cifar_tui.app.views.paned import PanedScreen
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.header import RunHeader
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.text import escaped
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.source import SAMPLE_BATCH_SIZE, RunSource

PANES: dict[str, type[Pane]] = {
    "settings": SettingsPane,
    "training": TrainingPane,
    "samples": SamplesPane,
    "summary": SummaryPane,
    "log": LogPane,
}
"""The panes by name, in the order of their numbers from 1."""


class Dashboard(PanedScreen[None]):
    """Shows a run and holds the form for the next one.

    Args:
        config: the initial settings in the form.
        size: see `PanedScreen`.
        idle: whether no run is about to be shown, so that the form takes the room.

    Attributes:
        back_to: the run that esc goes back to; "" unless another one is shown read-only.
    """

    AUTO_FOCUS = ""
    PANES = tuple(PANES)

    def __init__(self, config: TrainConfig, size: Size, *, idle: bool) -> None:
        super().__init__(size)
        self.back_to = ""
        self._has_run = not idle
        self._show_idle(is_idle=idle)
        self._config = config
        self._forget()

    def _forget(self) -> None:
        self._shown_figures: object = None
        self._shown_texts: object = None
        self._shown_curves_version = -1
        self._log_end = 0
        self._log_retracted = 0
        self._shown_samples: object = None
        self._sample_number = 0
        self._wrong_samples: list[int] | None = None

    def compose(self) -> ComposeResult:
        yield RunHeader()
        yield from self.compose_panes(PANES | {"settings": partial(SettingsPane, self._config)})
        yield Line(id="last-line")
        yield self.too_small_notice()
        yield Footer()

    @property
    def settings(self) -> SettingsPane:
        """The form."""
        return self.query_one(SettingsPane)

    @property
    def training(self) -> TrainingPane:
        """The figures and charts."""
        return self.query_one(TrainingPane)

    @property
    def samples(self) -> SamplesPane:
        """The test images."""
        return self.query_one(SamplesPane)

    @property
    def header(self) -> RunHeader:
        """The line at the top."""
        return self.query_one(RunHeader)

    def show_pane(self, name: str) -> None:
        self._show_idle(is_idle=name == "settings" and not self._has_run)
        self.set_class(name == "log", "-log-front")
        super().show_pane(name)

    def _show_idle(self, *, is_idle: bool) -> None:
        """Let the form take the room, or give it to all panes."""
        self._is_idle = is_idle
        self.set_class(is_idle, "-idle")

    @property
    def default_pane(self) -> str:
        return "training"

    @property
    def has_room_for_all(self) -> bool:
        return not self._is_idle and super().has_room_for_all

    def find_setting(self, name: str) -> None:
        """Show the form with the cursor on the setting `name`."""
        self.show_pane("settings")
        self.settings.find(name)

    def focus_next(self, selector: str | type[Widget] = "*") -> Widget | None:
        if not self.settings.has_cursor:
            return super().focus_next(selector)
        self.settings.after_typing(
            lambda: self.settings.move(1) or super(Dashboard, self).focus_next(selector)
        )
        return self.focused

    def focus_previous(self, selector: str | type[Widget] = "*") -> Widget | None:
        if not self.settings.has_cursor:
            return super().focus_previous(selector)
        self.settings.after_typing(
            lambda: self.settings.move(-1) or super(Dashboard, self).focus_previous(selector)
        )
        return self.focused

    def forget_run(self) -> None:
        """Empty the panes for another run."""
        self._has_run = True
        self._show_idle(is_idle=False)
        self.query_one(LogPane).clear_lines()
        self.query_one("#last-line").remove_class("-filled")
        self.training.show_curves(Curves())
        self._forget()

    def show_run(self, run: RunSource, *, only_figures: bool = False) -> None:
        """Show what changed in `run` since the last call: state and figures, then all else but its curves."""
        snapshot = run.snapshot()
        # the version counts events; the others also change without one
        name = run.name
        state = (snapshot.version, snapshot.pending, snapshot.phase, run.ownership, name, self.back_to)
        self.settings.locked = run.live or self.back_to != ""
        if state != self._shown_figures:
            self._shown_figures = state
            self.header.show_run(snapshot, run.ownership, name=name, back_to=self.back_to)
            self.training.show(snapshot)
        if only_figures:
            return
        if state != self._shown_texts:
            self._shown_texts = state
            self.query_one(SummaryPane).show(snapshot)
            self._show_log(run, snapshot.log_retracted)
        self._show_samples(run)

    def show_curves(self, run: RunSource) -> bool:
        """Draw the charts if there are new points; return whether there were."""
        version = run.snapshot().curves_version
        if version == self._shown_curves_version:
            return False
        self._shown_curves_version = version
        mixed = bool(run.config.mixup or run.config.cutmix)
        self.training.show_curves(replace(run.curves(), mixed=mixed))
        return True

    def _show_log(self, run: RunSource, retracted: int) -> None:
        log = self.query_one(LogPane)
        if retracted != self._log_retracted:  # a resume takes back lines after its checkpoint
            self._log_retracted, self._log_end = retracted, 0
            log.clear_lines()
        lines = run.log_since(self._log_end)
        if lines:
            self._log_end = lines[-1].number + 1
            log.add(lines)
            last = self.query_one("#last-line", Line)
            last.add_class("-filled")
            last.show(Content(escaped(f"{SIGNS[lines[-1].kind]} {lines[-1].text}")))

    def step_samples(self, run: RunSource, step: int) -> None:
        """Show the next or previous batch of test images: of all, or of those that are wrong by now."""
        shown, known = self.samples.indices, self._wrong_samples
        if known is None or not shown:
            self._sample_number += step
            return
        wrong = run.wrong_samples() or known
        place = bisect_right(wrong, shown[-1]) if step > 0 else bisect_left(wrong, shown[0]) - 1
        self._wrong_samples, self._sample_number = wrong, place % len(wrong) // SAMPLE_BATCH_SIZE

    def toggle_wrong_samples(self, run: RunSource) -> bool:
        """Show only images whose prediction is wrong, from the batch shown on, or all again.

        They stay while training changes the predictions. Returns whether there are any.
        """
        first, wrong = next(iter(self.samples.indices), 0), None
        if self._wrong_samples is None:
            wrong = run.wrong_samples()
            if not wrong:
                return False
        self._wrong_samples = wrong
        place = first if wrong is None else bisect_left(wrong, first) % len(wrong)
        self._sample_number = place // SAMPLE_BATCH_SIZE
        return True

    def _show_samples(self, run: RunSource) -> None:
        snapshot, among = run.snapshot(), self._wrong_samples
        # the predictions of an attached run arrive after the evaluation is logged
        wanted = (snapshot.data, snapshot.samples, run.results(), self._sample_number, among)
        if wanted != self._shown_samples:
            batch = run.sample_batch(self._sample_number, among)
            self._shown_samples = wanted if batch is not None else None
            self.samples.show(batch, wrong_only=among is not None)
