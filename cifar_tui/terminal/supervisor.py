"""Lets a run leave its terminal: the program works in a child process, and the shell waits for its parent.

The parent does nothing but pass signals on, stop and go on with the child, and end as the child does. When
the child says that it leaves the terminal, the parent ends at once and the shell has its prompt back, while
the child goes on in a session of its own.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

SIGNAL_DEBOUNCE_SECONDS = 1.0
"""Who signals a group of processes signals twice: a signal counts as a second one only after this time."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)

_WATCHED = {*_PASSED_ON, signal.SIGCHLD, signal.SIGCONT, signal.SIGHUP}


class ParentLink:
    """The child's link to the process that the shell waits for.

    Attributes:
        descriptor: readable at its end once that process is gone.
    """

    def __init__(self, *, says_to: int, hears_from: int) -> None:
        self.descriptor = hears_from
        self._says_to = says_to

    def leave(self, exit_message: str, *, hint: str = "") -> None:
        """Have the shell get its prompt back, and go on in a session of one's own.

        The parent prints `exit_message` on stdout and `hint` on stderr.
        """
        if self._says_to < 0:
            return
        says_to, self._says_to = self._says_to, -1
        if os.getsid(0) != os.getpid():
            os.setsid()  # first: the end of a session's leader hangs up all that is in the session
        with contextlib.suppress(BrokenPipeError):  # the parent is gone with its terminal
            os.write(says_to, f"{exit_message}\1{hint}\0".encode())
        os.close(says_to)


def run_in_child(work: Callable[[ParentLink], int], *, reads_terminal: bool = True) -> int:
    """Do `work` in a child process and return its exit code, or 0 as soon as it leaves the terminal.

    To be called before any thread is started and before torch is imported. What does not read the terminal
    gets a session of its own from the outset, and the keys that send signals reach it through its parent.
    """
    child_says, child_hears = os.pipe(), os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # none may come between the fork and the handlers that pass it on
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    pid = os.fork()
    if pid == 0:
        if not reads_terminal:
            os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(child_says[0])
        os.close(child_hears[1])
        return work(ParentLink(says_to=child_says[1], hears_from=child_hears[0]))
    os.close(child_says[1])
    os.close(child_hears[0])
    _pass_signals_on(pid)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return _wait_for(pid, child_says[0], woken)


def _wait_for(pid: int, says: int, woken: int) -> int:
    """Wait until the child `pid` has ended or has said that it leaves.

    A signal that comes just before a wait begins does not interrupt it, and its handler is not called before
    the wait is over: `woken`, which every signal makes readable, ends it.
    """
    heard = b""
    while True:
        ready, _, _ = select.select((says, woken), (), ())
        if woken in ready:
            os.read(woken, 4096)
        if says not in ready:
            continue
        if not (block := os.read(says, 4096)):
            break
        heard += block
        if heard.endswith(b"\0"):
            for stream, text in zip((sys.stdout, sys.stderr), heard[:-1].split(b"\1"), strict=True):
                if text:  # else the terminal is gone, or hangs
                    with contextlib.suppress(OSError):
                        os.write(stream.fileno(), text + b"\n")
            return 0
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _die_of(-code)
    return code


def _pass_signals_on(pid: int) -> None:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(pid, number)

    def follow(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ChildProcessError):  # it has not stopped but ended
            if os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None:
                os.kill(os.getpid(), signal.SIGSTOP)

    def go_on(_number: int, _frame: FrameType | None) -> None:
        os.kill(pid, signal.SIGCONT)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGCHLD, follow)
    signal.signal(signal.SIGCONT, go_on)
    # the child gets its own from the terminal, and leaves in its own time
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _die_of(number: int) -> NoReturn:
    """End as the child did, so that the shell sees the same."""
    with contextlib.suppress(OSError):  # SIGKILL is always at its default action
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
