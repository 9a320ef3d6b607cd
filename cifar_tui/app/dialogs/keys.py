"""The keys of a screen, in a frame that scrolls."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from cifar_tui.app.dialogs.dialog import Dialog


class KeyHelp(Dialog[None]):
    """A framed text that scrolls; `compose_body` yields what is in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close"),
        Binding("j", "scroll(1)", "Down"),
        Binding("k", "scroll(-1)", "Up"),
    ]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as body:
            body.border_title = self._title
            body.border_subtitle = "esc close"
            yield from self.compose_body()

    def compose_body(self) -> ComposeResult:
        """Yield the widgets in the frame."""
        raise NotImplementedError

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)


class KeysScreen(KeyHelp):
    """Shows the keys of a screen.

    Args:
        title: on the frame.
        bindings: the keys; those without a tooltip are left out.
        text: below the keys.
    """

    def __init__(self, title: str, bindings: Iterable[BindingType], text: str) -> None:
        super().__init__(title)
        self._bindings_shown = tuple(bindings)
        self._text = text

    def compose_body(self) -> ComposeResult:
        yield Static(key_table({"": key_rows(self._bindings_shown)}), classes="help-text")
        yield Static(self._text, classes="help-text", markup=False)


def key_table(groups: Mapping[str, Iterable[tuple[str, str]]]) -> Table:
    """Return the keys and what they do, by group; a group may have no heading."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for heading, rows in groups.items():
        if heading:
            table.add_row("", Text(f"\n{heading}", style="bold underline"))
        for key, does in rows:
            table.add_row(Text(key, style="bold"), does)
    return table


def key_rows(bindings: Iterable[BindingType]) -> Iterator[tuple[str, str]]:
    """Return the key and the tooltip of each binding that has one."""
    for binding in bindings:
        if isinstance(binding, Binding) and binding.tooltip:
            yield binding.key_display or binding.key, binding.tooltip
