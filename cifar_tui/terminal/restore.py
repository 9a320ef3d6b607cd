"""Give a terminal back as it was found, where the program that drew on it cannot."""

import contextlib
import os
import select
import signal
import termios
from typing import Any

from cifar_tui.terminal.standard_streams import STDERR

_SHOW_CURSOR = "\x1b[?25h"
_CLEAR_LINE = "\r\x1b[2K"
LEAVE_SCREEN = (
    "\x1b\\"  # ends a sequence that was cut off
    "\x1b[0m\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?2048l"
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"
    f"\x1b[<u\x1b[?1049l{_SHOW_CURSOR}\x1b[?1004l"
)
"""Undoes what Textual's driver does: screen, mouse, bracketed paste, keyboard protocol, cursor, focus."""

_LFLAG = 3
_RAW = termios.ICANON | termios.ISIG  # a shell that edits a line keeps ISIG
_SAY_SECONDS = 1.0


class TerminalState:
    """The terminal at `descriptor` as it is now, before a screen is drawn on it."""

    def __init__(self, descriptor: int = STDERR) -> None:
        self._descriptor = descriptor
        self._attributes = _attributes_of(descriptor)

    def restore(self, *, screen_open: bool = False) -> None:
        """Leave the screen and raw mode of a program that did not; never waits for the terminal.

        Args:
            screen_open: whether the screen is known to be open; otherwise raw mode tells.
        """
        before, now = self._attributes, _attributes_of(self._descriptor)
        if before is None or now is None:
            return
        if not (screen_open or _is_raw(now)):
            if not now[_LFLAG] & termios.ICANON and _in_foreground(self._descriptor):  # it read single keys
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(self._descriptor, termios.TCSANOW, before)
                say(self._descriptor, _SHOW_CURSOR, seconds=0)
            return
        # in the background a change of the terminal would stop the process
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        with contextlib.suppress(termios.error):
            if _is_raw(now):  # otherwise the shell has set it up for its prompt
                termios.tcflush(self._descriptor, termios.TCIOFLUSH)  # makes room where nobody reads
                termios.tcsetattr(self._descriptor, termios.TCSANOW, before)
        say(self._descriptor, LEAVE_SCREEN, seconds=0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def say(descriptor: int, text: str, *, seconds: float = _SAY_SECONDS) -> OSError | None:
    """Write `text`, unless its reader takes nothing for `seconds`; return the error if that fails."""
    try:
        if select.select((), (descriptor,), (), seconds)[1]:
            os.write(descriptor, text.encode(errors="replace"))
    except OSError as error:
        return error
    return None


def show_cursor() -> None:
    """Show the cursor, which a progress bar on stderr has hidden."""
    if os.isatty(STDERR):
        say(STDERR, _SHOW_CURSOR, seconds=0)


def clear_line() -> None:
    """Clear the line of a progress bar on stderr, which another process draws."""
    if os.isatty(STDERR):
        say(STDERR, _CLEAR_LINE, seconds=0)


def _attributes_of(descriptor: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(descriptor)
    except termios.error:  # no terminal, or it is gone
        return None


def _in_foreground(descriptor: int) -> bool:
    """Whether the terminal is that of this process group now, not of a shell that edits a line."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


def _is_raw(attributes: list[Any]) -> bool:
    return not attributes[_LFLAG] & _RAW
