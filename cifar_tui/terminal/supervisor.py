"""Run the program in a child process that can outlive its terminal.

The shell waits for the parent, which forwards signals, stops and continues with the child, and exits with its
status. When the child leaves the terminal, the parent exits at once so that the shell prompts again, and the
child continues in its own session. When the child is killed, the parent gives the terminal back.
"""

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cifar_tui.terminal.restore import TerminalState, say
from cifar_tui.terminal.signals import STOP_SIGNALS, signal_name
from cifar_tui.terminal.standard_streams import CLOSED, STDERR, STDOUT, discard_stdout

_FORWARDED = (*STOP_SIGNALS, signal.SIGWINCH, signal.SIGTSTP)

_WATCHED = {*_FORWARDED, signal.SIGCHLD, signal.SIGCONT, signal.SIGHUP}

_RUN, _LEAVE = "run", "leave"
"""What the child tells its parent: fields between \\1, up to \\0."""


class ParentLink:
    """The child's link to its parent, the process that the shell waits for.

    Attributes:
        descriptor: at end-of-file once the parent is gone.
    """

    def __init__(self, *, descriptor: int, write_to: int) -> None:
        self.descriptor = descriptor
        self._write_to = write_to
        self._lock = threading.Lock()

    def note_run(self, folder: Path) -> None:
        """Tell the parent which run this process works on, for what it says if the process is killed.

        Again after its folder was moved: the latest counts.
        """
        with self._lock:
            self._send(_RUN, str(folder.absolute()))

    def leave(self, exit_message: str, *, hint: str = "", exit_code: int = 0) -> None:
        """Give the shell its prompt back and continue in a new session.

        The parent prints `exit_message` on stdout and `hint` on stderr, and exits with `exit_code`.
        """
        with self._lock:
            if self._write_to < 0:
                return
            if os.getsid(0) != os.getpid():
                os.setsid()  # first: when a session leader exits, the whole session gets SIGHUP
            self._send(_LEAVE, exit_message, hint, str(exit_code))
            os.close(self._write_to)
            self._write_to = -1

    def _send(self, *fields: str) -> None:
        if self._write_to >= 0:
            with contextlib.suppress(BrokenPipeError):  # the parent is gone with its terminal
                os.write(self._write_to, "\1".join(fields).encode(errors="surrogateescape") + b"\0")


def run_in_child(
    work: Callable[[ParentLink], int],
    *,
    reads_terminal: bool = True,
    how_to_continue: Callable[[Path], str] = str,
    results_lost: Callable[[str], Exception] | None = None,
) -> int:
    """Run `work` in a child process and return its exit code, or that which it leaves the terminal with.

    Call it before any thread starts and before torch is imported. Work that does not read the terminal gets
    its own session at once; the parent forwards the signals of ctrl+c and the like.

    Args:
        work: what to run, given the link to its parent.
        reads_terminal: whether it reads the terminal.
        how_to_continue: what to say about the run in a folder whose process was killed.
        results_lost: makes the error to raise, of its reason, if what the child leaves with cannot be written
            to stdout; None if that is no result.
    """
    terminal = TerminalState()
    from_child, to_child = os.pipe(), os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # no signal may arrive between the fork and the handlers that forward it
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    pid = os.fork()
    if pid == 0:
        if not reads_terminal:
            os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(from_child[0])
        os.close(to_child[1])
        _close_inherited()
        return work(ParentLink(descriptor=to_child[0], write_to=from_child[1]))
    os.close(from_child[1])
    os.close(to_child[0])
    _forward_signals(pid)
    wakeup, wakeup_writer = os.pipe()
    os.set_blocking(wakeup_writer, False)
    signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    received = _wait_for_leave(pid, from_child[0], wakeup)
    fields = [record.split("\1") for record in received.decode(errors="surrogateescape").split("\0")]
    folders = [Path(rest[0]) for kind, *rest in fields if kind == _RUN]
    for kind, *rest in fields:
        if kind == _LEAVE:
            _print_leave(*rest[:2], results_lost=results_lost)
            return int(rest[2])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, status = os.waitpid(pid, 0)
    terminal.restore()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code not in {*STOP_SIGNALS, signal.SIGHUP}:
            said = [f"killed by {_name_of(-code)}", *map(how_to_continue, folders[-1:])]
            say(STDERR, f"cifar-tui: {'; '.join(filter(None, said))}\n")
        _die_of(-code)
    return code


def _print_leave(message: str, hint: str, *, results_lost: Callable[[str], Exception] | None) -> None:
    error = say(STDOUT, f"{message}\n") if message else None
    if hint:
        say(STDERR, f"{hint}\n")
    if error is not None and results_lost is not None:
        reason = discard_stdout(error)
        if reason not in {"", CLOSED}:  # nobody reads it, or wants it
            raise results_lost(reason)


def _close_inherited() -> None:
    """Close what the caller of the program had opened besides the standard streams.

    The child may outlive its caller by days, who may wait for the end of a pipe or hold a lock, as `flock 9`
    does. A descriptor that came through exec is inheritable; none that Python opens is.
    """
    try:
        numbers = [int(path.name) for path in Path("/dev/fd").iterdir()]
    except OSError:  # no such folder
        numbers = list(range(os.sysconf("SC_OPEN_MAX")))
    for number in numbers:
        with contextlib.suppress(OSError):  # not open
            if number > STDERR and os.get_inheritable(number):
                os.close(number)


def _wait_for_leave(pid: int, from_child: int, wakeup: int) -> bytes:
    """Wait until the child `pid` exits or leaves the terminal, and return all that it told.

    A signal just before the wait does not interrupt it, and its Python handler would run only afterwards:
    every signal makes `wakeup` readable, which ends the wait. SIGCHLD tells of the end where processes that
    the child started hold its end of the pipe.
    """
    received = b""
    ended = False
    while True:
        ready, _, _ = select.select((from_child, wakeup), (), (), 0 if ended else None)
        if wakeup in ready:
            os.read(wakeup, 4096)
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if from_child in ready:
            block = os.read(from_child, 4096)
            received += block
            if not block or (received.endswith(b"\0") and _LEAVE.encode() + b"\1" in received):
                return received
        elif ended:
            return received


def _forward_signals(pid: int) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)

    def stop_with_child(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ChildProcessError):  # it has exited, not stopped
            if os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None:
                os.kill(os.getpid(), signal.SIGSTOP)

    for number in (*_FORWARDED, signal.SIGCONT):
        signal.signal(number, forward)
    signal.signal(signal.SIGCHLD, stop_with_child)
    # the child gets its own SIGHUP and leaves when it is ready
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _name_of(number: int) -> str:
    if number == signal.SIGKILL:
        return "SIGKILL, perhaps for lack of memory"
    return signal_name(number)


def _die_of(number: int) -> NoReturn:
    """Die of the same signal as the child, so that the shell sees it."""
    with contextlib.suppress(OSError):  # SIGKILL cannot be set
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
