"""One line that names the panes and marks the one in front, where only one is visible."""

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static


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

    def watch_front(self, front: str) -> None:
        tabs = [
            f"[@click=app.show_pane('{pane}')][{'reverse bold' if pane == front else 'not bold'}] {number} "
            f"{pane.capitalize()} [/][/]"
            for number, pane in enumerate(self._panes, start=1)
        ]
        self.update(Content.from_markup(" ".join(tabs)))
