"""The top of the dashboard: the run on one line, and tabs where only one pane is visible."""

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from cifar_tui.app.widgets.line import Line
from cifar_tui.runs.format import cut
from cifar_tui.runs.state import RunSnapshot, stopped_early

_LONGEST_NAME = 28


class RunHeader(Line):
    """The program, the run's name or ID, who owns it and the dataset."""

    def on_mount(self) -> None:
        self.show_run(RunSnapshot())

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
        parts = ["[b]cifar-tui[/b]"]
        if back_to:
            parts += ["viewing [b]$run[/b], read-only", "[b]esc[/b] back to [b]$back_to[/b]"]
        elif name or snapshot.started is not None:
            parts.append("$run")
        if ownership and not back_to:
            parts.append("[b]$ownership[/b]")
        stopped = stopped_early(snapshot)
        if stopped:
            parts.append("■ $stopped")
        if snapshot.data is not None:
            parts.append("[b]SYNTHETIC IMAGES[/b]" if snapshot.data.synthetic else "$title")
        texts = {
            "run": cut(name or (snapshot.started.run if snapshot.started is not None else ""), _LONGEST_NAME),
            "title": snapshot.data.title if snapshot.data is not None else "",
            "ownership": ownership,
            "back_to": back_to,
            "stopped": stopped,
        }
        self.show(Content.from_markup(" · ".join(parts), **texts))


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
            f"[@click=app.show_pane('{pane}')][{'reverse bold' if pane == front else 'not bold'}] {number} "
            f"{pane.capitalize()} [/][/]"
            for number, pane in enumerate(self._panes, start=1)
        ]
        self.update(Content.from_markup(" ".join(tabs)))
