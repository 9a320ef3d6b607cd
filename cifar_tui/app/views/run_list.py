"""What the Runs view lists and says, and what it does in threads: a slow disk must not block the screen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cifar_tui.engine.errors import UserError
from cifar_tui.engine.text import cell_width, cut_path, escaped
from cifar_tui.runs.listing import ListedRun, list_runs
from cifar_tui.runs.sweep.tree import ListedSweep, list_sweeps
from cifar_tui.runs.table import Order, filter_problem, heading_of


@dataclass(frozen=True, kw_only=True, slots=True)
class RunList:
    """What the checkpoints folder holds.

    Attributes:
        runs: the runs; None while they are being listed.
        sweeps: the sweeps, by their names.
        problem: why the folder cannot be read, or "".
    """

    runs: list[ListedRun] | None = None
    sweeps: dict[str, ListedSweep] = field(default_factory=dict)
    problem: str = ""

    def why_empty(self, checkpoints: Path, needle: str) -> str:
        """Say why no run is shown, and what to do."""
        if self.problem:
            return self.problem
        if self.runs is None:
            return "Listing runs…"
        if self.runs or (self.sweeps and needle):
            reason = filter_problem(self.runs, needle) or f'No runs match "{needle}"'
            return f"{reason}\nesc to show all"
        return f"No runs in {escaped(str(checkpoints))} yet\nPress esc to go back, then t to train"

    def sweeps_shown(self, needle: str) -> dict[str, ListedSweep]:
        """Return the sweeps that the table has rows of; a filter leaves those out that have no runs."""
        return {name: sweep for name, sweep in self.sweeps.items() if sweep.runs or not needle}

    def title(
        self, checkpoints: Path, order: Order, *, shown: int | None, width: int
    ) -> list[tuple[str, str]]:
        """Return the title in pieces with their styles; of a filter, `shown` is how many runs it shows."""
        title = [("Runs", "bold")]
        if self.runs is not None:
            count = f"{len(self.runs):,}"
            title.append((f" · {shown:,} of {count}" if shown is not None else f" · {count}", ""))
        if order != Order():
            title.append((f" · by {heading_of(order.column)} {order.arrow}", ""))
        room = width - 2 - sum(cell_width(text) for text, _ in title) - len(" · in ")
        title.append((f" · in {cut_path(str(checkpoints), max(1, room))}", ""))
        return title


def list_all(checkpoints: Path) -> RunList:
    """List the runs and their sweeps."""
    try:
        runs = list_runs(checkpoints)
    except UserError as error:
        return RunList(runs=[], problem=str(error))
    return RunList(runs=runs, sweeps=list_sweeps(checkpoints, runs))


def problem_of(work: Callable[[], None]) -> str:
    """Do `work` and return the error, or ""."""
    try:
        work()
    except UserError as error:
        return str(error)
    return ""
