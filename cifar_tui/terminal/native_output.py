"""Keep output of native code off the screen, and survive the end of the terminal."""

import contextlib
import errno
import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from cifar_tui.terminal.standard_streams import STDERR, STDIN, STDOUT, redirect_to_devnull

_LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
"""Somebody may have put a link or a FIFO in the place of a run's log."""


class TerminalStream(io.TextIOWrapper):
    """A stream to the terminal that discards its output instead of failing once the terminal is gone.

    Args:
        number: descriptor of the terminal; it is duplicated, so that redirecting it later does not redirect
            this stream.
    """

    def __init__(self, number: int) -> None:
        raw = os.fdopen(os.dup(number), "wb", buffering=0)
        super().__init__(io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=False)

    def write(self, text: str) -> int:
        """Write `text`."""
        try:
            return super().write(text)
        except OSError:
            self.lose()
            return len(text)

    def flush(self) -> None:
        """Write the buffer."""
        try:
            super().flush()
        except OSError:
            self.lose()

    def lose(self) -> None:
        """Discard all output from now on."""
        redirect_to_devnull(self.fileno())


class NativeOutput:
    """Send descriptors 1 and 2 to a temporary file while Textual draws on the terminal.

    Textual draws on `sys.__stderr__` and asks `sys.__stdout__` for the size: Python's streams get duplicates
    of the descriptors, so only native code writes to the original ones.
    """

    def __enter__(self) -> Self:
        self._kept = {number: os.dup(number) for number in (STDOUT, STDERR)}
        self._streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
        self._terminal = [TerminalStream(number) for number in (STDOUT, STDERR)]
        _replace_streams(*self._terminal, *self._terminal)
        with tempfile.TemporaryFile() as file:
            for number in (STDOUT, STDERR):
                os.dup2(file.fileno(), number)
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._terminal:
            stream.close()
        _replace_streams(*self._streams)
        for number, descriptor in self._kept.items():
            if descriptor >= 0:
                os.dup2(descriptor, number)
                os.close(descriptor)

    def lose_terminal(self) -> None:
        """Stop writing to a terminal that is gone."""
        for stream in self._terminal:
            with contextlib.suppress(ValueError):  # already closed
                stream.lose()

    def leave_terminal(self) -> None:
        """Keep descriptors 1 and 2 redirected on exit, and redirect stdin from /dev/null."""
        for number, descriptor in self._kept.items():
            os.close(descriptor)
            self._kept[number] = -1
        _redirect(os.devnull, [STDIN], os.O_RDONLY)


def redirect_native_output(log: Path) -> None:
    """Append what native code writes to descriptors 1 and 2 to the file `log`."""
    with contextlib.suppress(OSError):  # a full disk must not end the run
        _redirect(log, [STDOUT, STDERR], _LOG_FLAGS)


def detach_standard_streams(log: Path | None, *, keep_stdout: bool = False) -> None:
    """Append stdout and stderr to `log`, or discard them without one; redirect stdin from /dev/null.

    With `keep_stdout`, stdout stays as it is.
    """
    outputs = [STDERR] if keep_stdout else [STDOUT, STDERR]
    try:
        _redirect(log or os.devnull, outputs, _LOG_FLAGS if log else os.O_WRONLY)
    except OSError:  # a full disk must not end the run
        redirect_to_devnull(*outputs)
    _redirect(os.devnull, [STDIN], os.O_RDONLY)


def _replace_streams(*streams: object) -> None:
    # typeshed declares the last two final, but a program may replace them
    sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc,assignment]  # any stream will do


def _redirect(path: Path | str, descriptors: Iterable[int], flags: int) -> None:
    target = os.open(path, flags, 0o644)
    try:
        found = os.fstat(target)
        if flags == _LOG_FLAGS and not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            raise OSError(errno.EINVAL, "not a file of its own", str(path))
        for descriptor in descriptors:
            os.dup2(target, descriptor)
    finally:
        os.close(target)
