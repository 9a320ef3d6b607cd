"""The line on top: the program, the run and what it is doing."""

from textual.content import Content

from cifar_tui.app.widgets.line import Line
from cifar_tui.runs.state import RunSnapshot


class RunHeader(Line):
    """Program, run id and data, on one line."""

    def on_mount(self) -> None:
        """Before the first run there is only the program's name."""
        self.show_run(RunSnapshot())

    def show_run(self, snapshot: RunSnapshot, ownership: str = "") -> None:
        """Show the run in `snapshot`, and whose it is if it is not this process's."""
        parts = ["[b]cifar-tui[/b]"]
        if snapshot.started is not None:
            parts.append(snapshot.started.run)
        if ownership:
            parts.append("[b]$ownership[/b]")
        if snapshot.data is not None:
            parts.append("[b]SYNTHETIC IMAGES[/b]" if snapshot.data.synthetic else "$title")
        title = snapshot.data.title if snapshot.data is not None else ""
        self.show(Content.from_markup(" · ".join(parts), title=title, ownership=ownership))
