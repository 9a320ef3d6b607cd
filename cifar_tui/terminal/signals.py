"""What SIGHUP, SIGINT, SIGTERM and the end of the terminal do to the dashboard.

SIGINT and SIGTERM: the app stops its run, saves and exits (`CifarApp.on_signal`). SIGHUP, or a terminal that
is gone: the screen exits and the run continues. If the screen hangs, the watching thread takes over.
"""

import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

_POLL_MILLISECONDS = 500
PATIENCE_SECONDS = 5.0
"""How long the screen may take to exit or to respond."""
_CLOSED = select.POLLHUP | select.POLLERR | select.POLLNVAL


class TerminalWatch:
    """Watch the terminal and SIGHUP, SIGINT and SIGTERM from `start` until `stop`.

    Handlers are Python's own: asyncio does not run its handlers while the loop blocks on a terminal that
    nobody reads. Polling finds a terminal that ended without a signal.

    Args:
        descriptors: the terminal, and whatever else closes with it.
        on_lost: called once when the terminal is gone; asks the screen to exit.
        on_signal: called with SIGINT or SIGTERM.
        is_alive: whether the screen still responds.
        take_over: called in the watch's thread when the screen should have exited but hangs; never returns.
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
        self._deadline: float | None = None
        self._lost = threading.Event()

    def start(self) -> None:
        """Install the handlers and start the thread; call it in the main thread."""
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._handle)
        threading.Thread(target=self._watch, name="cifar-tui-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop watching: the screen has exited and the run continues."""
        self._stopped.set()

    @property
    def lost(self) -> bool:
        """Whether the terminal is gone."""
        return self._lost.is_set()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._lose()
        else:
            self._deadline = time.monotonic() + PATIENCE_SECONDS
            self._on_signal(number)

    def _lose(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self._deadline = time.monotonic() + PATIENCE_SECONDS
            self._on_lost()

    def _watch(self) -> None:
        poll = select.poll()
        for descriptor in self._descriptors:
            poll.register(descriptor, 0)
        while not self._stopped.is_set():
            if self._lost.is_set():
                self._stopped.wait(_POLL_MILLISECONDS / 1000)
            elif any(happened & _CLOSED for _, happened in poll.poll(_POLL_MILLISECONDS)):
                self._lose()
            late = time.monotonic() - self._deadline if self._deadline is not None else -1.0
            # a screen that responds but does not leave a lost terminal is no better
            if late > 0 and (not self._is_alive() or (self.lost and late > PATIENCE_SECONDS)):
                self._take_over()
