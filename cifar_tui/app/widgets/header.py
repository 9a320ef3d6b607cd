"""The top of the dashboard: the run on one line, and tabs where only one pane is visible."""

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from cifar_tui.app.widgets.line import Line
from cifar_tui.runs.state import RunSnapshot


class RunHeader(Line):
    """The program, the run's name or ID, who owns it and the dataset."""

    def on_mount(self) -> None:
        self.show_run(RunSnapshot())

    def show_run(self, snapshot: RunSnapshot, ownership: str = "", *, name: str = "") -> None:
        """Show the run of `snapshot`; `ownership` is "" for a run of this process, `name` without a name."""
        parts = ["[b]cifar-tui[/b]"]
        if name or snapshot.started is not None:
            parts.append("$run")
        if ownership:
            parts.append("[b]$ownership[/b]")
        if snapshot.data is not None:
            parts.append("[b]SYNTHETIC IMAGES[/b]" if snapshot.data.synthetic else "$title")
        run = name or (snapshot.started.run if snapshot.started is not None else "")
        title = snapshot.data.title if snapshot.data is not None else ""
        self.show(Content.from_markup(" · ".join(parts), run=run, title=title, ownership=ownership))


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
