"""The terminal of a sweep: its live table, the key that leaves it, signals, and the end of the terminal."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from cifar_tui.cli.sweep_text import LiveTable, StatusLines, SweepView
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.results import Member
from cifar_tui.runs.sweep.scheduler import SweepScheduler
from cifar_tui.runs.sweep.store import log_file, sweep_command
from cifar_tui.terminal.native_output import detach_standard_streams
from cifar_tui.terminal.restore import say, show_cursor
from cifar_tui.terminal.signals import STOP_SIGNALS, StopSignals
from cifar_tui.terminal.standard_streams import STDERR, STDIN
from cifar_tui.terminal.supervisor import ParentLink

_KEYS = "q leave it running · ctrl+c save and stop all runs"
_STOPPING = "saving and stopping · ctrl+c to quit now: the runs still save and end"


class SweepTerminal:
    """What the sweep `plan` in `folder` prints on, and takes a key and signals from.

    With a `parent`, the process can leave the terminal and work in the background.

    Attributes:
        received: the signals that asked it to stop.
        left: whether the process has left the terminal.
    """

    def __init__(self, folder: Path, plan: SweepPlan, parent: ParentLink | None) -> None:
        self._folder, self._plan, self._parent = folder, plan, parent
        self.received = StopSignals()
        self.left = False
        self._hung_up = False
        self._shown = contextlib.ExitStack()
        self._view: SweepView | None = None

    @contextlib.contextmanager
    def handling(self, scheduler: SweepScheduler) -> Iterator[None]:
        """Stop `scheduler` on `STOP_SIGNALS`, exit at once on a second one, continue without a terminal."""

        def stop(number: int, _frame: FrameType | None) -> None:
            if self.received.receive(number):
                show_cursor()
                say(
                    STDERR, f"\ncifar-tui: resume the sweep with: {sweep_command('--resume', self._folder)}\n"
                )
                os._exit(self.received.exit_code)
            scheduler.stop()

        def hang_up(_number: int, _frame: FrameType | None) -> None:
            self._hung_up = True

        before = {}
        for number, handler in (dict.fromkeys(STOP_SIGNALS, stop) | {signal.SIGHUP: hang_up}).items():
            if number in {signal.SIGINT, signal.SIGTERM} or signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
        try:
            with self._shown:
                yield
        finally:
            for number, earlier in before.items():
                signal.signal(number, earlier)

    def leave(self) -> None:
        """Give the terminal back to the shell and work in the background."""
        self._shown.close()
        name = self._plan.name
        self.left = True
        detach_standard_streams(log_file(self._folder))
        if self._parent is not None:
            show, stop = (sweep_command(option, self._folder) for option in ("--show", "--stop"))
            hint = (
                f"cifar-tui: sweep {name} is working in the background. See it with: {show}, or with r in "
                f"the dashboard; stop it with: {stop}"
            )
            self._parent.leave(name, hint=hint)

    def show(self, members: Mapping[int, Member]) -> None:
        """Show the runs as they are now."""
        if self._view is None:
            self._view = self._open_view()
        self._view.show(self._plan, members)

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a key or the end of the terminal makes the process leave it."""
        reads = self._parent is not None and not self.left
        try:
            ready = select.select([STDIN] if reads else [], [], [], seconds)[0]
            pressed = os.read(STDIN, 1) if ready else None
        except OSError:  # the terminal is gone
            pressed = b""
        if not self.left and (self._hung_up or pressed in {b"", b"q"}):
            self.leave()
        if self.received.first and isinstance(self._view, LiveTable):
            self._view.keys = _STOPPING

    def _open_view(self) -> SweepView:
        if not sys.stderr.isatty():
            return self._shown.enter_context(StatusLines())
        if self._parent is not None:
            self._shown.enter_context(_single_keys())
        return self._shown.enter_context(LiveTable(_KEYS if self._parent is not None else ""))


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Read keys from stdin one by one, without echo; ctrl+c is still a signal."""
    before = termios.tcgetattr(STDIN)
    tty.setcbreak(STDIN, termios.TCSANOW)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(STDIN, termios.TCSANOW, before)
