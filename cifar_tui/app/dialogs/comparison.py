"""The screen of runs side by side."""

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable

from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.engine.text import printable
from cifar_tui.runs.listing import ListedRun, compare_runs, setting_cell


class ComparisonTable(DataTable[Content]):
    """A table that also scrolls by j, k, h and l."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("h", "scroll_left", "Left", show=False),
        Binding("l", "scroll_right", "Right", show=False),
    ]


class ComparisonScreen(Dialog[None]):
    """Shows the results of `runs`, and the settings in which they differ."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,v", "dismiss", "Close")]

    def __init__(self, runs: list[ListedRun]) -> None:
        super().__init__()
        self._comparison = compare_runs(runs)

    def compose(self) -> ComposeResult:
        table = ComparisonTable(cursor_type="none", fixed_columns=1, id="comparison")
        table.border_title = f"{len(self._comparison.names)} runs side by side"
        table.border_subtitle = "arrows scroll · esc close"
        yield table

    def on_mount(self) -> None:
        table, comparison = self.query_one(ComparisonTable), self._comparison
        settings = {
            printable(name): [setting_cell(value) for value in values]
            for name, values in comparison.settings.items()
        } or {"settings": ["identical"] * len(comparison.names)}
        lines = [
            ("run", *(printable(name) for name in comparison.names)),
            *((name, *texts) for name, texts in settings.items()),
            [""] * (1 + len(comparison.names)),
            *((name, *texts) for name, texts in comparison.results.items()),
        ]
        for column in zip(*lines, strict=True):
            table.add_column(Text(column[0]), width=max(cell_len(text) for text in column))
        for label, *texts in lines[1:]:
            table.add_row(Content.styled(label, "bold"), *(Content(text) for text in texts))
