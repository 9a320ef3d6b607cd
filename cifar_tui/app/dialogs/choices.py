"""The choices of a setting, each with what it is."""

from collections.abc import Mapping
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.engine.text import cell_width

_CHOICE_WIDTH, _ONE_LINE = 18, 20
"""Columns of a choice at least, and of an explanation that fits beside it."""


class Choices(Dialog[str]):
    """A list to choose from; dismissed with the choice, or None.

    Args:
        title: on the frame.
        choices: each with one line of explanation, or "".
        current: the choice that has the cursor at first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
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

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


def _line(choice: str, text: str) -> Table | Content:
    """The choice, with its explanation beside it on as many lines as it needs."""
    if cell_width(text) <= _ONE_LINE:  # a table takes long, and there may be 200 classes
        pad = " " * max(1, _CHOICE_WIDTH + 1 - cell_width(choice))
        return Content.assemble(choice, pad, (text, "dim"))
    line = Table.grid(padding=(0, 1))
    line.add_column(min_width=_CHOICE_WIDTH, no_wrap=True)
    line.add_row(Text(choice), Text(text, "dim"))  # markup in neither
    return line
