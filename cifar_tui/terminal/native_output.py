"""Keeps what native code writes to descriptors 1 and 2 off the screen, and survives the terminal's end."""

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Self


class TerminalStream(io.TextIOWrapper):
    """A stream to the terminal; once that is gone, what is written goes nowhere and nothing fails."""

    def write(self, text: str) -> int:
        """Write `text`."""
        try:
            return super().write(text)
        except OSError:
            self.lose()
            return len(text)

    def flush(self) -> None:
        """Send what is buffered."""
        try:
            super().flush()
        except OSError:
            self.lose()

    def lose(self) -> None:
        """Write to nowhere from now on."""
        _point_at(os.devnull, [self.fileno()], os.O_WRONLY)


class NativeOutput:
    """Points descriptors 1 and 2 at a temporary file, while Textual goes on drawing on the terminal.

    Textual draws on `sys.__stderr__` and asks `sys.__stdout__` for the size: Python's streams get descriptors
    of their own, and only native code still knows the old ones.
    """

    def __enter__(self) -> Self:
        self._kept = {number: os.dup(number) for number in (1, 2)}
        self._streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
        self._terminal = [_terminal_stream(number) for number in (1, 2)]
        _replace_streams(*self._terminal, *self._terminal)
        with tempfile.TemporaryFile() as nowhere:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
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
        """Have nothing wait for, or fail on, a terminal that is gone."""
        for stream in self._terminal:
            with contextlib.suppress(ValueError):  # closed already
                stream.lose()

    def leave_terminal(self) -> None:
        """Keep descriptors 1 and 2 where they are when this ends, and read from nowhere."""
        for number, descriptor in self._kept.items():
            os.close(descriptor)
            self._kept[number] = -1
        _point_at(os.devnull, [0], os.O_RDONLY)


def redirect_native_output(log: Path) -> None:
    """Append what native code writes to descriptors 1 and 2 to the file `log`."""
    # a full disk must not end the run for want of a place for warnings
    with contextlib.suppress(OSError):
        _point_at(log, [1, 2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _terminal_stream(number: int) -> TerminalStream:
    raw = os.fdopen(os.dup(number), "wb", buffering=0)
    return TerminalStream(io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=False)


def _replace_streams(*streams: object) -> None:
    # typeshed declares the last two final, but a program may replace them
    sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc,assignment]  # any stream will do


def _point_at(path: Path | str, numbers: list[int], flags: int) -> None:
    descriptor = os.open(path, flags, 0o644)
    for number in numbers:
        os.dup2(descriptor, number)
    os.close(descriptor)
