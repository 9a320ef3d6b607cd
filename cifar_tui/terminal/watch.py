"""Sees that the terminal is gone or that a signal came, and gets the process out of a screen that hangs."""

import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

_LOOK_MILLISECONDS = 500
PATIENCE_SECONDS = 10.0
"""How long a screen may take to leave, and to answer."""
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class TerminalWatch:
    """Watches from `start` until `stop`.

    Signals are taken at Python's level: those of asyncio are not served while the loop hangs on a terminal
    that nobody reads. A terminal that ends without a signal is found by asking for its state.

    Args:
        descriptors: of the terminal, and of whatever else ends with it.
        on_lost: called once when the terminal is gone; it asks the screen to leave.
        on_signal: called with SIGINT or SIGTERM.
        is_alive: whether the screen still works.
        take_over: called in the watch's thread when the screen should have left, and hangs for ten seconds;
            does not return.
    """

    def __init__(
        self,
        descriptors: list[int],
        *,
        on_lost: Callable[[], None],
        on_signal: Callable[[int], None],
        is_alive: Callable[[], bool],
        take_over: Callable[[], None],
    ) -> None:
        self._descriptors = descriptors
        self._on_lost = on_lost
        self._on_signal = on_signal
        self._is_alive = is_alive
        self._take_over = take_over
        self._stopped = threading.Event()
        self._leave_by: float | None = None
        self._lost = threading.Event()
        self._handlers: dict[int, object] = {}

    def start(self) -> None:
        """Begin, in the main thread."""
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                self._handlers[number] = signal.signal(number, self._handle)
        threading.Thread(target=self._watch, name="cifar-tui-watch", daemon=True).start()

    def stop(self) -> None:
        """The screen has left by itself, and the run goes on."""
        self._stopped.set()

    @property
    def lost(self) -> bool:
        """Whether the terminal is gone."""
        return self._lost.is_set()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._lose()
        else:
            self._leave_by = time.monotonic() + PATIENCE_SECONDS
            self._on_signal(number)

    def _lose(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self._leave_by = time.monotonic() + PATIENCE_SECONDS
            self._on_lost()

    def _watch(self) -> None:
        poll = select.poll()
        for descriptor in self._descriptors:
            poll.register(descriptor, 0)
        while not self._stopped.is_set():
            if self._lost.is_set():
                self._stopped.wait(_LOOK_MILLISECONDS / 1000)
            elif any(happened & _GONE for _, happened in poll.poll(_LOOK_MILLISECONDS)):
                self._lose()
            late = time.monotonic() - self._leave_by if self._leave_by is not None else -1.0
            # a screen that works but does not leave a terminal that is gone is of no use either
            if late > 0 and (not self._is_alive() or (self.lost and late > PATIENCE_SECONDS)):
                self._take_over()
