"""The keys of one screen."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from cifar_tui.app.dialogs.dialog import Dialog


class KeysScreen(Dialog[None]):
    """Shows the keys of a screen.

    Args:
        title: on the frame.
        bindings: the keys; those without a tooltip are left out.
        text: below the keys.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,f1", "dismiss", "Close"),
        Binding("j", "scroll(1)", "Down"),
        Binding("k", "scroll(-1)", "Up"),
    ]

    def __init__(self, title: str, bindings: Iterable[BindingType], text: str) -> None:
        super().__init__()
        self._title = title
        self._rows = list(key_rows(bindings))
        self._text = text

    def compose(self) -> ComposeResult:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for key, does in self._rows:
            table.add_row(Text(key, style="bold"), does)
        with VerticalScroll(id="help") as body:
            body.border_title = self._title
            body.border_subtitle = "esc close"
            yield Static(table, classes="help-text")
            yield Static(self._text, classes="help-text", markup=False)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def key_rows(bindings: Iterable[BindingType]) -> Iterator[tuple[str, str]]:
    """Return the key and the tooltip of each binding that has one."""
    for binding in bindings:
        if isinstance(binding, Binding) and binding.tooltip:
            yield binding.key_display or binding.key, binding.tooltip
