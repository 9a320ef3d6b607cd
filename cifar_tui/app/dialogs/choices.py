"""The choices of a setting, each with what it is."""

from collections.abc import Mapping
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from cifar_tui.app.dialogs.dialog import Dialog


class Choices(Dialog[str]):
    """A list to choose from; dismissed with the choice, or None.

    Args:
        title: on the frame.
        choices: each with one line of explanation, or "".
        current: the choice that has the cursor at first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close"),
        Binding("j", "app.simulate_key('down')", "Down", show=False),
        Binding("k", "app.simulate_key('up')", "Up", show=False),
    ]

    def __init__(self, title: str, choices: Mapping[str, str], current: str) -> None:
        super().__init__()
        self._title = title
        self._choices = choices
        self._current = current

    def compose(self) -> ComposeResult:
        choices = OptionList(
            *(Option(_line(choice, text), id=choice) for choice, text in self._choices.items()),
            classes="dialog",
        )
        choices.border_title = self._title
        choices.border_subtitle = "enter choose · esc cancel"
        choices.highlighted = list(self._choices).index(self._current)
        yield choices

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


def _line(choice: str, text: str) -> Table:
    """The choice, with its explanation beside it on as many lines as it needs."""
    line = Table.grid(padding=(0, 1))
    line.add_column(min_width=18, no_wrap=True)
    line.add_row(choice, Text(text, "dim"))
    return line
