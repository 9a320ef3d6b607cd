"""A program in a real pseudo-terminal, whose output is read as a terminal emulator reads it, and counted."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from cifar_tui.engine.errors import RunFailedError

_BLOCK = 65_536
_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 1.5
_ASKS_FOR_SYNCHRONISED_OUTPUT, _HAS_IT = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
_CONTROL_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -Z^-~])")


class Terminal:
    """A program in a terminal of `columns` × `rows`; it is ended with the context.

    Nothing is read but in `read_for` and `until`: in between the terminal is stalled.

    Attributes:
        bytes_read: how much the program has written that was read.
        started: when it was started, on the monotonic clock.
        group: the process id of the program, and the id of its process group.
    """

    def __init__(self, command: Sequence[str], *, columns: int, rows: int) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.bytes_read = 0
        self._recent = bytearray()
        self._last = b""
        self.started = time.monotonic()
        self.group, self._descriptor = pty.fork()
        if self.group == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(command[0], list(command), environment)  # noqa: S606 - this program itself

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        os.close(self._descriptor)

    def press(self, key: str) -> None:
        """Type `key`; what the terminal shows from now on is its effect."""
        self._recent.clear()
        os.write(self._descriptor, key.encode())

    def read_for(self, seconds: float) -> int:
        """Read what comes in `seconds`; how many bytes that were.

        Raises:
            RunFailedError: the program ended.
        """
        before, until = self.bytes_read, time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            self._read(rest)
            self._recent.clear()
        return self.bytes_read - before

    def until(self, pattern: str, seconds: float = 60.0) -> float | None:
        """Read until text that was drawn since the last key matches; the seconds it took.

        None where it did not come within `seconds`.

        Raises:
            RunFailedError: the program ended.
        """
        began = time.monotonic()
        came = True
        while not (came and re.search(pattern, self._text())):
            if time.monotonic() - began >= seconds:
                return None
            came = self._read(_LOOK_SECONDS)
        return time.monotonic() - began

    def _text(self) -> str:
        """What was drawn since the last key, in the order it came."""
        return _text_of(self._recent)

    def _read(self, seconds: float) -> bool:
        """Read what is there, or what comes first within `seconds`; whether there was something."""
        if not select.select([self._descriptor], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self._descriptor, _BLOCK)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            last = _text_of(self._last)[-500:]
            raise RunFailedError(f"a dashboard that was to be measured ended: {last!r}")
        self.bytes_read += len(data)
        self._recent += data
        self._last = (self._last + data)[-_BLOCK:]
        if _ASKS_FOR_SYNCHRONISED_OUTPUT in data:
            os.write(self._descriptor, _HAS_IT)
        return True

    def _end(self) -> None:
        """Have the program stop and leave, or kill it where that takes long: nothing more is needed of it."""
        os.kill(self.group, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):  # it has ended
            if os.waitid(os.P_PID, self.group, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None:
                # what goes on already has no use for the signal
                os.killpg(self.group, signal.SIGCONT)
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while not os.waitpid(self.group, os.WNOHANG)[0]:
            if time.monotonic() > give_up:
                os.killpg(self.group, signal.SIGKILL)
            try:
                self._read(_LOOK_SECONDS)
            except RunFailedError:
                time.sleep(_LOOK_SECONDS)  # its terminal is closed, so there is nothing to wait at


def _text_of(drawn: bytes | bytearray) -> str:
    """What was `drawn`, without colours and positions."""
    return _CONTROL_SEQUENCE.sub(b"", drawn).decode(errors="replace")
