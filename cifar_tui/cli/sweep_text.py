"""The table of a sweep as text: live on a terminal, line by line otherwise, and at the end."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cifar_tui.cli.console import SafeConsole, plain_table
from cifar_tui.cli.output import print_message
from cifar_tui.runs.comparison import BEST_MARK
from cifar_tui.runs.listing import setting_cell
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.results import (
    MEMBER_SIGNS,
    Member,
    Spread,
    SweepGroup,
    counts_text,
    group_members,
    spread_text,
    status_counts,
)
from cifar_tui.runs.table import heading_of
from cifar_tui.terminal.native_output import TerminalStream
from cifar_tui.terminal.standard_streams import STDERR, follow_terminal_size

_PROGRESS_SECONDS = 10.0
_OTHER_LINES = 2
"""Lines of a live table beside its rows and what is said: headings, and one for the prompt."""


class SweepView(Protocol):
    """Shows a sweep while it is at work."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def show(self, plan: SweepPlan, members: Mapping[int, Member]) -> None:
        """Show the runs as they are now."""


class LiveTable:
    """A table on the terminal, below the lines that are printed; leaves nothing behind.

    Attributes:
        keys: what the keys do.
    """

    def __init__(self, keys: str) -> None:
        follow_terminal_size(STDERR)
        self.keys = keys
        self._stream = TerminalStream(STDERR)  # another descriptor: see `ProgressBar`
        self._console = SafeConsole(file=self._stream)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._stream.close()

    def show(self, plan: SweepPlan, members: Mapping[int, Member]) -> None:
        """Draw the table."""
        groups = group_members(plan, members)
        title = Text.assemble(("sweep ", ""), (plan.name, "bold"), f": {counts_text(members)}")
        keys = Text(self.keys, "dim")
        notes = Text(" · ".join(table_notes(plan, members)), "dim")
        said = self._console.render_lines(Group(title, Text(f"{len(groups)} more · ") + notes, keys))
        shown = ranked(groups)[: max(1, self._console.height - _OTHER_LINES - len(said))]
        if len(groups) > len(shown):
            notes = Text(f"{len(groups) - len(shown)} more · ", "dim") + notes
        self._live.update(Group(title, groups_table(plan, shown), notes, keys), refresh=True)


class StatusLines:
    """A line every few seconds if something has changed, for a file or a pipe."""

    def __init__(self) -> None:
        self._said = ""
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, plan: SweepPlan, members: Mapping[int, Member]) -> None:
        """Print a line if one is due."""
        text = f"cifar-tui: sweep {plan.name}: {counts_text(members)}"
        if text != self._said and time.monotonic() >= self._due:
            self._said, self._due = text, time.monotonic() + _PROGRESS_SECONDS
            print_message(text)


def ranked(groups: Sequence[SweepGroup]) -> list[SweepGroup]:
    """Return `groups` by validation accuracy, the best first; those without one in their order."""
    return sorted(groups, key=lambda group: -group.validation.mean if group.validation is not None else 1.0)


def groups_table(plan: SweepPlan, groups: Sequence[SweepGroup]) -> Table:
    """Return a table with a row for each of the `groups`."""
    has_validation = any(config.val_size for config in plan.configs)
    headings = [("", False), *((heading_of(name), True) for name in plan.varied)]
    headings += [("runs", True), *([("val %", True)] if has_validation else []), ("test %", True)]
    table = plain_table((heading, 0, right) for heading, right in [*headings, ("state", False)])
    for group in groups:
        done = sum(member.status == "done" for member in group.members)
        cells = [BEST_MARK if group.best else " "]
        cells += [setting_cell(name, value) for name, value in zip(plan.varied, group.values, strict=True)]
        cells += [
            f"{done}/{len(group.members)}",
            *([spread_text(group.validation)] if has_validation else []),
        ]
        cells += [spread_text(group.test), _state(plan, group)]
        table.add_row(*(Text(cell, "bold green" if group.best else "") for cell in cells))
    return table


def table_notes(plan: SweepPlan, members: Mapping[int, Member]) -> list[str]:
    """Say what the table does not: how the best was chosen, and which runs are left out of it."""
    notes = []
    if any(len(group.members) > 1 for group in group_members(plan, members)):
        notes.append("mean ± standard deviation over seeds")
    if any(config.val_size for config in plan.configs):
        notes.append(f"{BEST_MARK} best by validation accuracy")
    else:
        notes.append("no best without validation images (val_size): test images are for reporting")
    if hopeless := status_counts(members).get("hopeless", 0):
        notes.append(f"{hopeless} stopped as hopeless, not in the means")
    return notes


def sweep_as_json(plan: SweepPlan, members: Mapping[int, Member]) -> dict[str, Any]:
    """Return the results for machines; accuracies are shares (0-1)."""
    return {
        "sweep": plan.name,
        "states": status_counts(members),
        "groups": [
            {
                "settings": dict(zip(plan.varied, group.values, strict=True)),
                "validation": _spread_as_json(group.validation),
                "test": _spread_as_json(group.test),
                "best": group.best,
                "runs": [_member_as_json(plan, member) for member in group.members],
            }
            for group in group_members(plan, members)
        ],
    }


def print_failed(plan: SweepPlan, members: Mapping[int, Member]) -> None:
    """Name on stderr the runs that failed, and why."""
    for number, member in members.items():
        if member.status in {"failed", "crashed"}:
            reason = f": {member.error}" if member.error else ""
            print_message(
                f"cifar-tui: run {plan.run_name(number)} ({plan.described(number)}) {member.status}{reason}"
            )


def _state(plan: SweepPlan, group: SweepGroup) -> str:
    """Say how the runs of a group are: their states, and how far the ones at work are."""
    texts = []
    for status, count in status_counts({member.number: member for member in group.members}).items():
        number = "" if len(group.members) == 1 else f"{count} "
        far = _how_far(plan, group) if status == "running" else ""
        texts.append(f"{MEMBER_SIGNS[status]} {number}{status}{far}")
    return ", ".join(texts)


def _how_far(plan: SweepPlan, group: SweepGroup) -> str:
    """Say in which epochs the running runs of a group are, and with which validation accuracies."""
    running = [member for member in group.members if member.status == "running" and member.summary.epoch]
    if not running:
        return ""
    epochs = [member.summary.epoch for member in running]
    accuracies = [100 * member.summary.val_accuracy for member in running if member.summary.val_accuracy]
    total = plan.config(running[0].number).epochs
    validation = f" val {_range(accuracies, '.1f')} %" if accuracies else ""
    return f" (epoch {_range(epochs, 'd')} of {total}{validation})"


def _range(values: Sequence[float], form: str) -> str:
    """Format the least and the largest of `values`, or the only one."""
    ends = dict.fromkeys(format(value, form) for value in (min(values), max(values)))
    return "–".join(ends)


def _spread_as_json(spread: Spread | None) -> dict[str, Any] | None:
    if spread is None:
        return None
    return {"mean": spread.mean, "deviation": spread.deviation, "runs": spread.count}


def _member_as_json(plan: SweepPlan, member: Member) -> dict[str, Any]:
    return {
        "number": member.number,
        "name": plan.run_name(member.number),
        "run": member.run.name if member.run is not None else None,
        "seed": plan.config(member.number).seed,
        "state": member.status,
        "validation": member.summary.val_accuracy,
        "test": member.summary.last_accuracy,
        "error": member.error,
    }
