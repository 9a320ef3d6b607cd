"""The Train view: all panes side by side where they fit, else one at a time."""

from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from cifar_tui.app.linked import LinkedScreen
from cifar_tui.app.panes.log import SIGNS, LogPane
from cifar_tui.app.panes.samples import SamplesPane
from cifar_tui.app.panes.settings.pane import SettingsPane
from cifar_tui.app.panes.summary import SummaryPane
from cifar_tui.app.panes.training import TrainingPane
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.header import PaneTabs, RunHeader
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.source import RunSource
from cifar_tui.runs.state import Curves

MINIMUM_SIZE = (60, 16)
_ALL_PANES = (110, 36)
"""The least columns and rows where all panes are visible at once."""

_WIDTHS = [
    (0, "-too-narrow"),
    (MINIMUM_SIZE[0], "-slim"),
    (80, "-narrow"),
    (_ALL_PANES[0], "-wide"),
    (170, "-very-wide"),
]
_HEIGHTS = [(0, "-too-low"), (MINIMUM_SIZE[1], "-flat"), (20, "-low"), (_ALL_PANES[1], "-high")]
"""The least columns and rows of each class of sizes."""

PANES: dict[str, type[Pane]] = {
    "settings": SettingsPane,
    "training": TrainingPane,
    "samples": SamplesPane,
    "summary": SummaryPane,
    "log": LogPane,
}
"""The panes by name, in the order of their numbers from 1."""


class Dashboard(LinkedScreen[None]):
    """Shows a run and holds the form for the next one.

    Args:
        config: the initial settings in the form.
        size: of the terminal, for the first frame: Textual applies breakpoints only after it.
        idle: whether no run is about to be shown, so that the form takes the room.

    Attributes:
        back_to: the run that esc goes back to; "" unless another one is shown read-only.
    """

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS

    def __init__(self, config: TrainConfig, size: Size, *, idle: bool) -> None:
        width = _size_class(size.width, _WIDTHS)
        super().__init__(classes=f"{width} {_size_class(size.height, _HEIGHTS)}")
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
        self.sample_number = 0

    def compose(self) -> ComposeResult:
        yield RunHeader()
        yield PaneTabs(tuple(PANES))
        with Grid(id="panes"):
            for number, (name, pane) in enumerate(PANES.items()):
                widget = SettingsPane(self._config, id=name) if pane is SettingsPane else pane(id=name)
                widget.set_class(number == 0, "-front")
                yield widget
        yield Line(id="last-line")
        yield Static(_too_small(self.app.size), id="too-small")
        yield Footer()

    def on_resize(self) -> None:
        self.query_one("#too-small", Static).update(_too_small(self.size))

    @property
    def settings(self) -> SettingsPane:
        """The form."""
        return self.query_one(SettingsPane)

    @property
    def training(self) -> TrainingPane:
        """The figures and charts."""
        return self.query_one(TrainingPane)

    @property
    def header(self) -> RunHeader:
        """The line at the top."""
        return self.query_one(RunHeader)

    def show_pane(self, name: str) -> None:
        """Focus the pane `name`, and bring it to the front where only one is visible."""
        self._show_idle(is_idle=name == "settings" and not self._has_run)
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == name, "-front")
        self.set_class(name == "log", "-log-front")
        self.query_one(PaneTabs).front = name
        # at once: keys typed ahead are for the new focus
        self.set_focus(self.query_one(f"#{name}", Pane).first_focusable())

    def _show_idle(self, *, is_idle: bool) -> None:
        """Let the form take the room, or give it to all panes."""
        self._is_idle = is_idle
        self.set_class(is_idle, "-idle")

    def maximise(self) -> None:
        """Give the whole screen to the pane that has the focus, or give it back."""
        focused = next((pane for pane in PANES if self.query_one(f"#{pane}").has_focus_within), "training")
        self.show_pane(focused)
        self.toggle_class("-maximised")

    @property
    def is_maximised(self) -> bool:
        """Whether one pane has the whole screen."""
        return self.has_class("-maximised")

    @property
    def has_room_for_all(self) -> bool:
        """Whether all panes would fit, so that maximising one changes something."""
        return not self._is_idle and self.size.width >= _ALL_PANES[0] and self.size.height >= _ALL_PANES[1]

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
        self.training.show_curves(run.curves())
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
            last.show(Content(f"{SIGNS[lines[-1].kind]} {lines[-1].text}"))

    def _show_samples(self, run: RunSource) -> None:
        snapshot = run.snapshot()
        wanted = (snapshot.data, snapshot.samples, snapshot.evaluated, self.sample_number)
        if wanted != self._shown_samples:
            batch = run.sample_batch(self.sample_number)
            self._shown_samples = wanted if batch is not None else None
            self.query_one(SamplesPane).show(batch)


def _too_small(size: Size) -> str:
    needed = f"{MINIMUM_SIZE[0]}×{MINIMUM_SIZE[1]}"
    return f"Terminal too small: {size.width}×{size.height} (needs {needed})"


def _size_class(cells: int, breakpoints: list[tuple[int, str]]) -> str:
    return max((least, name) for least, name in breakpoints if least <= cells)[1]
