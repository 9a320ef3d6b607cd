"""Keeps what native code writes to descriptors 1 and 2 off the screen, and in the run's log."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_tui.engine.files import LOG_FILE


@contextmanager
def native_output_off_screen() -> Iterator[None]:
    """Point descriptors 1 and 2 at a temporary file, while Textual goes on drawing on the terminal.

    Textual draws on `sys.__stderr__` and asks `sys.__stdout__` for the size: Python's streams get descriptors
    of their own, and only native code still knows the old ones.
    """
    kept = {number: os.dup(number) for number in (1, 2)}
    streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    with (
        os.fdopen(os.dup(1), "w", encoding="utf-8") as terminal_stdout,
        os.fdopen(os.dup(2), "w", encoding="utf-8") as terminal_stderr,
        tempfile.TemporaryFile() as nowhere,
    ):
        sys.stdout, sys.stderr = terminal_stdout, terminal_stderr
        sys.__stdout__, sys.__stderr__ = terminal_stdout, terminal_stderr  # type: ignore[misc]  # declared final, but it is what a program may replace
        _point_output_at(nowhere.fileno())
        try:
            yield
        finally:
            sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]  # declared final, but it is what a program may replace
            for number, descriptor in kept.items():
                os.dup2(descriptor, number)
                os.close(descriptor)


def native_output_to_run_log(folder: Path) -> None:
    """Point descriptors 1 and 2 at the log of the run in `folder`."""
    with (folder / LOG_FILE).open("ab") as file:
        _point_output_at(file.fileno())


def _point_output_at(descriptor: int) -> None:
    for number in (1, 2):
        os.dup2(descriptor, number)
