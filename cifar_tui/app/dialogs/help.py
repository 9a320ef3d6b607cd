"""The help screen: every key, from the table of commands."""

from collections.abc import Iterator
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from cifar_tui.app.commands import COMMAND_GROUPS
from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.app.dialogs.keys import key_rows
from cifar_tui.app.views.run_table import RunTable
from cifar_tui.app.views.runs import RunsScreen

_INTRODUCTION = (
    "Set up a run in Settings and press t. Watch it in Training, look at individual test images in Samples "
    "and the accuracy in Summary. Everything is saved in the run's folder."
)

_MOVING = (
    "In lists and the log: j/k or the arrow keys move one row, page up/down one page, g/G jump to the start "
    "or end."
)


class HelpScreen(Dialog[None]):
    """All commands by group."""

    HORIZONTAL_BREAKPOINTS = [(0, "-one-column"), (116, "-two-columns")]  # noqa: RUF012 - see Dashboard
    BINDINGS: ClassVar = [
        ("escape,question_mark,q,f1", "dismiss", "Close"),
        ("j", "scroll(1)", "Down"),
        ("k", "scroll(-1)", "Up"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as body:
            body.border_title = "Help"
            body.border_subtitle = "esc close"
            yield Static(_INTRODUCTION, classes="help-text")
            with Horizontal(id="help-columns"):
                for column in _columns():
                    yield Static(column)
            yield Static(_MOVING, classes="help-text")

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def _columns() -> Iterator[Table]:
    """The groups of commands in two columns of about the same height."""
    groups = {
        name: [(command.key_label, command.description) for command in commands]
        for name, commands in COMMAND_GROUPS.items()
    }
    groups["In the runs list"] = list(key_rows((*RunTable.BINDINGS, *RunsScreen.BINDINGS)))
    for names in (("Run", "Panes", "Program"), groups.keys() - {"Run", "Panes", "Program"}):
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for name in groups:
            if name in names:
                table.add_row("", Text(f"\n{name}", style="bold underline"))
                for key, description in groups[name]:
                    table.add_row(Text(key, style="bold"), description)
        yield table
