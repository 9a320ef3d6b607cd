"""One line that names the panes and says which is in front, where only one is seen."""

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from cifar_tui.app.commands import PANES


class PaneTabs(Static):
    """The panes by number and name; a click on one brings it to the front."""

    front = reactive(PANES[0])

    def watch_front(self, front: str) -> None:
        """Mark the pane in front."""
        tabs = [
            f"[@click=app.show_pane('{pane}')][{'reverse bold' if pane == front else 'not bold'}] {number} "
            f"{pane.capitalize()} [/][/]"
            for number, pane in enumerate(PANES, start=1)
        ]
        self.update(Content.from_markup(" ".join(tabs)))
