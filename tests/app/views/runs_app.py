"""An app of the screen of all runs alone."""

from pathlib import Path
from typing import ClassVar

from textual.app import App

import cifar_tui
from cifar_tui.app.views.run_table import RunTable
from cifar_tui.app.views.runs import RunChoice, RunsScreen
from tests.app.panes.pane_app import until

STYLES = Path(cifar_tui.__file__).parent / "app"
OLD, STOPPED, NEW = "20260101-100000", "20260102-100000", "20260103-100000"


class RunsApp(App[None]):
    """Shows the screen, and keeps what was chosen."""

    CSS_PATH: ClassVar = [
        STYLES / f"{name}.tcss" for name in ("app", "views/paned", "views/runs", "views/compare")
    ]
    BINDINGS: ClassVar = [("t,space,s,e,q,r,h", "forbidden", "Of the dashboard")]

    def __init__(self, checkpoints: Path) -> None:
        super().__init__()
        self.checkpoints = checkpoints
        self.form_epochs = 2
        self.choices: list[RunChoice | None] = []
        self.notes: list[str] = []

    def on_mount(self) -> None:
        screen = RunsScreen(self.checkpoints, form_epochs=self.form_epochs)
        self.push_screen(screen, self.choices.append)

    def notify(self, message, **arguments) -> None:
        self.notes.append(message)

    def action_forbidden(self) -> None:
        raise AssertionError("a key of the dashboard came through")

    @property
    def runs(self) -> RunsScreen:
        return next(screen for screen in self.screen_stack if isinstance(screen, RunsScreen))

    @property
    def table(self) -> RunTable:
        return self.runs.query_one(RunTable)

    def rows(self) -> list[list[str]]:
        return [
            [str(cell).strip() for cell in self.table.get_row_at(row)] for row in range(self.table.row_count)
        ]

    def names(self) -> list[str]:
        return [row[1] for row in self.rows()]

    def current(self) -> str:
        return self.names()[self.table.cursor_row]

    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(line.text for line in self.screen._compositor.render_strips())


async def listed(pilot, count=3):
    """Wait until the screen shows the table, with `count` runs in it."""
    table = pilot.app.table
    await until(pilot, lambda: table.row_count == count and table.is_on_screen)
