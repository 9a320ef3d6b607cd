"""The dashboard: all panes side by side where there is room, one at a time where there is not."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

from cifar_tui.app.commands import FIELD_BINDINGS, PANES
from cifar_tui.app.panes.log.pane import LogPane
from cifar_tui.app.panes.samples.pane import SamplesPane
from cifar_tui.app.panes.settings.pane import SettingsPane
from cifar_tui.app.panes.summary.pane import SummaryPane
from cifar_tui.app.panes.training.pane import TrainingPane
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.header import PaneTabs, RunHeader
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.source import RunSource, SampleBatch
from cifar_tui.runs.state import Curves, RunSnapshot

MINIMUM_SIZE = (80, 24)


class Dashboard(Screen[None]):
    """Shows a run and holds the form for the next one; knows no run but what it is to show.

    Args:
        config: what the form starts with.
        size: of the terminal, for the first frame; Textual acts on it only after that frame.
    """

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [*FIELD_BINDINGS]
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it without ClassVar, and mypy allows no other
        (0, "-too-narrow"),
        (MINIMUM_SIZE[0], "-narrow"),
        (110, "-wide"),
        (170, "-very-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it without ClassVar, and mypy allows no other
        (0, "-too-low"),
        (MINIMUM_SIZE[1], "-low"),
        (36, "-high"),
    ]

    def __init__(self, config: TrainConfig, size: Size) -> None:
        width = _size_class(size.width, self.HORIZONTAL_BREAKPOINTS)
        super().__init__(classes=f"{width} {_size_class(size.height, self.VERTICAL_BREAKPOINTS)}")
        self._config = config
        self._shown: object = None
        self._shown_texts: object = None
        self._shown_curves_version = -1
        self._shown_log_end = 0
        self._shown_log_taken = 0
        self._shown_samples: object = None
        self.sample_number = 0

    def compose(self) -> ComposeResult:
        """The panes, and what stands around them."""
        yield RunHeader()
        yield PaneTabs()
        with Grid(id="panes"):
            yield SettingsPane(self._config, id="settings", classes="-front")
            yield TrainingPane(id="training")
            yield SamplesPane(id="samples")
            yield SummaryPane(id="summary")
            yield LogPane(id="log")
        yield Static(_too_small(self.app.size), id="too-small")
        yield Footer()

    def on_resize(self) -> None:
        """Say the size where it is too small."""
        self.query_one("#too-small", Static).update(_too_small(self.size))

    @property
    def settings(self) -> SettingsPane:
        """The form."""
        return self.query_one(SettingsPane)

    @property
    def training(self) -> TrainingPane:
        """The charts."""
        return self.query_one(TrainingPane)

    def show_pane(self, name: str) -> None:
        """Bring the pane `name` to the front where only one is seen, and move the cursor to it."""
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == name, "-front")
        self.query_one(PaneTabs).front = name
        # at once: keys typed ahead are for where the cursor goes
        self.set_focus(self.query_one(f"#{name}", Pane).first_focusable())

    def forget_run(self) -> None:
        """Begin anew, for another run."""
        self.query_one(LogPane).clear_lines()
        self.training.show_curves(Curves())
        self._shown = self._shown_texts = None
        self._shown_curves_version = -1
        self._shown_log_end = self._shown_log_taken = 0
        self._shown_samples = None
        self.sample_number = 0

    def show_run(self, run: RunSource) -> None:
        """Show what changed in `run` since the last call but in its curves; cheap when nothing did."""
        self.show_numbers(run)
        self.show_texts(run)
        self.show_samples(run)

    def show_numbers(self, run: RunSource) -> None:
        """Show how far `run` is, and what it is doing."""
        snapshot, now = _state_of(run)
        if now != self._shown:
            self._shown = now
            self.query_one(RunHeader).show_run(snapshot, run.ownership)
            self.training.show(snapshot)
        self.settings.locked = run.live

    def show_texts(self, run: RunSource) -> None:
        """Show what `run` has said, and how good it is."""
        snapshot, now = _state_of(run)
        if now != self._shown_texts:
            self._shown_texts = now
            self.query_one(SummaryPane).show(snapshot)
            if snapshot.log_retracted != self._shown_log_taken:
                # a resume took lines back
                self._shown_log_taken, self._shown_log_end = snapshot.log_retracted, 0
                self.query_one(LogPane).clear_lines()
            lines = run.log_since(self._shown_log_end)
            if lines:
                self._shown_log_end = lines[-1].number + 1
                self.query_one(LogPane).add(lines)

    def show_curves(self, run: RunSource) -> None:
        """Draw the charts anew if there are new points."""
        version = run.snapshot().curves_version
        if version != self._shown_curves_version:
            self._shown_curves_version = version
            self.training.show_curves(run.curves())

    def show_samples(self, run: RunSource) -> None:
        """Show the batch of test images that is wanted, and what the net takes them for now."""
        snapshot = run.snapshot()
        wanted = (snapshot.data, snapshot.samples, snapshot.evaluated, self.sample_number)
        if wanted == self._shown_samples:
            return
        self._shown_samples = wanted
        batch: SampleBatch | None = run.sample_batch(self.sample_number)
        if batch is None:
            self._shown_samples = None
        self.query_one(SamplesPane).show(batch)


def _too_small(size: Size) -> str:
    needed = f"it needs {MINIMUM_SIZE[0]}×{MINIMUM_SIZE[1]}"
    return f"The terminal is too small: {size.width}×{size.height}; {needed}."


def _size_class(cells: int, breakpoints: list[tuple[int, str]]) -> str:
    return max((least, name) for least, name in breakpoints if least <= cells)[1]


def _state_of(run: RunSource) -> tuple[RunSnapshot, tuple[object, ...]]:
    """What is known of `run`, and what differs once that does."""
    snapshot = run.snapshot()
    # all but the first change without an event: by a key, and when the process that owns the run goes
    return snapshot, (snapshot.version, snapshot.asked, snapshot.phase, run.ownership)
