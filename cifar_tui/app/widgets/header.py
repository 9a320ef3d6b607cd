"""The top of the dashboard: the run on one line, and tabs where only one pane is visible."""

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from cifar_tui.app.widgets.line import Line, bar
from cifar_tui.app.widgets.state_line import badge
from cifar_tui.engine.events import Phase
from cifar_tui.engine.text import cut, cut_path
from cifar_tui.runs.format import duration
from cifar_tui.runs.state import RunSnapshot

_LONGEST_NAME = 28
_LONGEST_TITLE = 32
_LEAST_LEFT = 20
_BAR_WIDTH = 12


class RunHeader(Line):
    """The state of the run, its name, who owns it and its images; at the right how far it is."""

    def __init__(self) -> None:
        super().__init__()
        self._left = self._right = Content()
        self._slow_link = ""

    def on_mount(self) -> None:
        self.show_run(RunSnapshot())

    def on_resize(self) -> None:
        self._draw()

    def show_run(
        self, snapshot: RunSnapshot, ownership: str = "", *, name: str = "", back_to: str = ""
    ) -> None:
        """Show the run of `snapshot`.

        Args:
            snapshot: the state of the run.
            ownership: which process owns it; "" for this one.
            name: the name of the run; "" without one.
            back_to: the run of this process, if it is not the one shown.
        """
        parts = [badge(snapshot) if snapshot.phase is not Phase.IDLE else Content.styled("cifar-tui", "bold")]
        run = cut(name or (snapshot.started.run if snapshot.started is not None else ""), _LONGEST_NAME)
        if back_to:
            parts.append(Content.assemble("viewing ", (run, "bold"), ", read-only"))
            parts.append(Content.assemble(("esc", "bold"), " back to ", (back_to, "bold")))
        elif run:
            parts.append(Content(run))
        if ownership and not back_to:
            parts.append(Content.styled(ownership, "bold"))
        if snapshot.data is not None:
            synthetic = snapshot.data.synthetic
            parts.append(
                Content.styled("SYNTHETIC IMAGES", "bold")
                if synthetic
                else Content(cut_path(snapshot.data.title, _LONGEST_TITLE))
            )
        self._left, self._right = Content(" · ").join(parts), _progress(snapshot)
        self._draw()

    def show_slow_link(self, seconds: float | None) -> None:
        """Say that the terminal takes `seconds` for a frame, or nothing with None."""
        self._slow_link = f"slow connection: redrawn every {seconds:.0f} s · " if seconds is not None else ""
        self._draw()

    def _draw(self) -> None:
        left = Content.styled(self._slow_link, "bold") + self._left
        room = self.size.width - self._right.cell_length - 1
        if room < _LEAST_LEFT:
            self.show(left)
        else:
            self.show(left.truncate(room, ellipsis=True, pad=True) + " " + self._right)


def _progress(snapshot: RunSnapshot) -> Content:
    """Draw `epoch 4/6 ━━━╸── 63 % 20 s left`; nothing unless the run has steps left."""
    started = snapshot.started
    if started is None or snapshot.finished is not None or not started.total_steps:
        return Content()
    share = snapshot.step / started.total_steps
    epochs = max(1, round(started.total_steps / max(1, started.steps_per_epoch)))
    parts = [
        Content(f"epoch {snapshot.epoch:,}/{epochs:,}"),
        bar(share, _BAR_WIDTH, "$accent"),
        Content(f"{int(100 * share)} %"),
    ]
    if snapshot.seconds_left is not None and snapshot.phase is Phase.TRAINING:
        parts.append(Content(f"{duration(snapshot.seconds_left)} left"))
    return Content(" ").join(parts)


class PaneTabs(Static):
    """The panes by number and name; a click brings one to the front.

    Args:
        panes: the names of the panes, in order.
    """

    front = reactive("")

    def __init__(self, panes: tuple[str, ...]) -> None:
        super().__init__()
        self._panes = panes
        self.set_reactive(PaneTabs.front, panes[0])

    def on_mount(self) -> None:
        self.watch_front(self.front)

    def watch_front(self, front: str) -> None:
        tabs = [
            f"[@click=screen.show_pane('{pane}')][{'reverse bold' if pane == front else 'not bold'}]"
            f" {number} {pane.capitalize()} [/][/]"
            for number, pane in enumerate(self._panes, start=1)
        ]
        self.update(Content.from_markup(" ".join(tabs)))
