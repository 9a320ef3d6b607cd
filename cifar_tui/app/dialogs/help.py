"""The help screen: every key, from the table of commands."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
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
    "In tables and the log: j/k or the arrow keys move one row, page up/down one page, home/end jump to the "
    "start or end."
)


class HelpScreen(Dialog[None]):
    """All commands by group."""

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
            yield Static(_command_table())
            yield Static(_MOVING, classes="help-text")

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def _command_table() -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for group, commands in COMMAND_GROUPS.items():
        table.add_row("", Text(f"\n{group}", style="bold underline"))
        for command in commands:
            table.add_row(Text(command.key_label, style="bold"), command.description)
    table.add_row("", Text("\nIn the runs list", style="bold underline"))
    for key, does in key_rows((*RunTable.BINDINGS, *RunsScreen.BINDINGS)):
        table.add_row(Text(key, style="bold"), does)
    return table
