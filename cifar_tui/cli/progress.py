"""A bar on stderr, below what is printed on the terminal."""

import sys
from collections.abc import Sequence
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn

from cifar_tui.cli.console import SafeConsole
from cifar_tui.engine.text import escaped
from cifar_tui.terminal.native_output import TerminalStream
from cifar_tui.terminal.standard_streams import STDERR, follow_terminal_size


class ProgressBar:
    """Progress for a terminal; leaves nothing behind.

    Args:
        description: what is done at first.
    """

    def __init__(self, description: str) -> None:
        follow_terminal_size(STDERR)  # which may be one where stdout is not
        # another descriptor: what is half drawn when the terminal hangs up must not end in the log
        self._stream = TerminalStream(STDERR)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[detail]}", markup=False),
            console=SafeConsole(file=self._stream),
            transient=True,
            expand=True,
            # rich moves the bar below each line of a terminal; a file gets its lines unchanged
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task(description, total=None, detail="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._stream.close()

    def hide(self) -> None:
        """Clear the bar until the next update."""
        self._progress.stop()

    def update(self, description: str, done: int, total: int | None, details: Sequence[str]) -> None:
        """Show how much is done, of how much if that is known, and details in words."""
        self._progress.start()
        self._progress.update(
            self._task,
            description=description,
            completed=done,
            total=total,
            detail=escaped(", ".join(details)),  # or Rich would drop what it takes for a control code
        )
