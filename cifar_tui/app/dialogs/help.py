"""The help screen: every key, from the table of commands."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from cifar_tui.app.commands import COMMAND_GROUPS
from cifar_tui.app.dialogs.keys import KeyHelp, key_rows, key_table
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


_LEFT = ("Run", "Panes", "Program")
"""The groups of the left column, which is then about as high as the right one."""

_WIDTHS = [(0, "-one-column"), (116, "-two-columns")]
"""The least columns of each layout."""


class HelpScreen(KeyHelp):
    """All commands by group, in two columns where there is room."""

    HORIZONTAL_BREAKPOINTS = _WIDTHS

    def __init__(self) -> None:
        super().__init__("Help")

    def compose_body(self) -> ComposeResult:
        groups = {
            name: [(command.key_label, command.description) for command in commands]
            for name, commands in COMMAND_GROUPS.items()
        }
        groups["In the runs list"] = list(key_rows((*RunTable.BINDINGS, *RunsScreen.BINDINGS)))
        left = {name: groups.pop(name) for name in _LEFT}
        yield Static(_INTRODUCTION, classes="help-text")
        with Horizontal(id="help-columns"):
            yield Static(key_table(left))
            yield Static(key_table(groups))
        yield Static(_MOVING, classes="help-text")
