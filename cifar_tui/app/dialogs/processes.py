"""The processes of a run: where each one computes, how fast, and how long it waits for the others."""

from collections.abc import Callable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from cifar_tui.app.dialogs.keys import KeyHelp
from cifar_tui.app.widgets.ranks_line import SLOWEST, ranks_of, slowest_of
from cifar_tui.engine.events import RankMeasured
from cifar_tui.engine.text import escaped
from cifar_tui.runs.state import RunSnapshot

_POLL_SECONDS = 1.0

_EXPLANATION = (
    "Averages since the run began or was resumed. images/s: its own computing, without its waits. waits: the "
    "share of its time that it waits for gradients of the others."
)


class ProcessesScreen(KeyHelp):
    """Shows all processes of the run whose state `snapshot` returns, as it changes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("p", "dismiss", "Close", show=False)]

    def __init__(self, snapshot: Callable[[], RunSnapshot]) -> None:
        super().__init__("Processes")
        self._snapshot = snapshot
        self._shown: tuple[RankMeasured, ...] | None = None

    def compose_body(self) -> ComposeResult:
        yield Static(id="processes")
        yield Static(_EXPLANATION, classes="help-text")

    def on_mount(self) -> None:
        self.set_interval(_POLL_SECONDS, self._show)
        self._show()

    def _show(self) -> None:
        ranks = ranks_of(self._snapshot())
        if ranks != self._shown:
            self._shown = ranks
            self.query_one("#processes", Static).update(_table(ranks) if ranks else "Waiting for data")


def _table(ranks: tuple[RankMeasured, ...]) -> Table:
    """A row for each process, the slowest marked; long names are cut, figures never.

    Hosts of one domain are named without it: what tells them apart comes first.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column("rank", justify="right", no_wrap=True)
    for name in ("host", "device"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    widest = max(len(_speed(rank)) for rank in ranks)
    table.add_column("images/s", justify="right", min_width=max(widest, len("images/s")))
    table.add_column("waits", justify="right", min_width=len("100 %"))
    table.add_column("", min_width=len(SLOWEST))
    in_one_domain = len({rank.host.partition(".")[2] for rank in ranks}) == 1
    slowest = slowest_of(ranks)
    for number, rank in enumerate(ranks):
        table.add_row(
            str(number),
            Text(escaped(rank.host.partition(".")[0] if in_one_domain else rank.host)),
            Text(escaped(rank.device)),
            _speed(rank),
            f"{100 * rank.waited:.0f} %",
            SLOWEST if number == slowest else "",
            style="bold" if number == slowest else "",
        )
    return table


def _speed(rank: RankMeasured) -> str:
    return f"{rank.images_per_second:,.0f}"
