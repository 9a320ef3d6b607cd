"""What signals and the end of the terminal do to a run.

`STOP_SIGNALS` stop the run, save and exit with 128 + N, headless and in the dashboard alike: batch systems
announce the end of a job with any of them. SIGHUP, or a terminal that is gone: the screen exits and the run
continues. If the screen hangs, the watching thread takes over.
"""

import os
import select
import signal
import stat
import threading
import time
from collections.abc import Callable
from types import FrameType

from cifar_tui.terminal.restore import show_cursor

STOP_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,  # a core dump of a training helps nobody
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
    signal.SIGALRM,
)
_IMPATIENT = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""A second one of these exits at once. The others announce a limit; SIGXCPU is repeated every second."""

SIGNAL_DEBOUNCE_SECONDS = 1.0
"""Signalling a process group signals twice: only after this time does a signal count as a second one."""

_POLL_MILLISECONDS = 500
PATIENCE_SECONDS = 5.0
"""How long the screen may take to exit or to respond."""
_CLOSED = select.POLLHUP | select.POLLERR | select.POLLNVAL


def signal_name(number: int) -> str:
    """Return the name of the signal `number`; some real-time signals have none."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


class StopSignals:
    """The signals that asked a process to stop.

    Attributes:
        first: the first one; 0 without one.
    """

    def __init__(self) -> None:
        self.first = 0
        self._impatient_at: float | None = None

    def receive(self, number: int) -> bool:
        """Note a signal and return whether it asks to exit at once, without saving."""
        self.first = self.first or number
        if number not in _IMPATIENT:
            return False
        if self._impatient_at is None:
            self._impatient_at = time.monotonic()
        return time.monotonic() - self._impatient_at > SIGNAL_DEBOUNCE_SECONDS

    @property
    def exit_code(self) -> int:
        """128 + the number of the first signal; 0 without one."""
        return 128 + self.first if self.first else 0


def is_hung_up(descriptor: int) -> bool:
    """Whether `descriptor` is a terminal that is gone, of which another session gets no signal."""
    if not stat.S_ISCHR(os.fstat(descriptor).st_mode):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(happened & _CLOSED for _, happened in poll.poll(0))


def stop_process(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGTSTP, which by default is discarded in a session without a shell, as under a batch system."""
    show_cursor()
    os.kill(os.getpid(), signal.SIGSTOP)


class TerminalWatch:
    """Watch the terminal, SIGHUP and `STOP_SIGNALS` from `start` until `stop`.

    Handlers are Python's own: asyncio does not run its handlers while the loop blocks on a terminal that
    nobody reads. Polling finds a terminal that ended without a signal.

    Args:
        descriptors: the terminal, and whatever else closes with it.
        on_lost: called once when the terminal is gone; asks the screen to exit.
        on_signal: called with one of `STOP_SIGNALS`.
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
        for number in (signal.SIGHUP, *STOP_SIGNALS):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._handle)
        threading.Thread(target=self._watch, name="cifar-tui-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop watching: the screen has exited and the run continues. Signals are still handled."""
        self._stopped.set()

    def expect_exit(self) -> None:
        """Take over if the screen, which is about to exit, hangs instead."""
        if self._deadline is None:  # signals that are repeated must not put it off
            self._deadline = time.monotonic() + PATIENCE_SECONDS

    @property
    def lost(self) -> bool:
        """Whether the terminal is gone."""
        return self._lost.is_set()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._lose()
        else:
            self.expect_exit()
            self._on_signal(number)

    def _lose(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self.expect_exit()
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
