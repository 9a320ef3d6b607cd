"""Run the program in a child process that can outlive its terminal.

The shell waits for the parent, which forwards signals, stops and continues with the child, and exits with its
status. When the child leaves the terminal, the parent exits at once so that the shell prompts again, and the
child continues in its own session.
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
"""Signalling a process group signals twice: only after this time does a signal count as a second one."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)

_WATCHED = {*_FORWARDED, signal.SIGCHLD, signal.SIGCONT, signal.SIGHUP}


class ParentLink:
    """The child's link to its parent, the process that the shell waits for.

    Attributes:
        descriptor: at end-of-file once the parent is gone.
    """

    def __init__(self, *, descriptor: int, write_to: int) -> None:
        self.descriptor = descriptor
        self._write_to = write_to

    def leave(self, exit_message: str, *, hint: str = "") -> None:
        """Give the shell its prompt back and continue in a new session.

        The parent prints `exit_message` on stdout and `hint` on stderr.
        """
        if self._write_to < 0:
            return
        write_to, self._write_to = self._write_to, -1
        if os.getsid(0) != os.getpid():
            os.setsid()  # first: when a session leader exits, the whole session gets SIGHUP
        with contextlib.suppress(BrokenPipeError):  # the parent is gone with its terminal
            os.write(write_to, f"{exit_message}\1{hint}\0".encode())
        os.close(write_to)


def run_in_child(work: Callable[[ParentLink], int], *, reads_terminal: bool = True) -> int:
    """Run `work` in a child process and return its exit code, or 0 as soon as it leaves the terminal.

    Call it before any thread starts and before torch is imported. Work that does not read the terminal gets
    its own session at once; the parent forwards the signals of ctrl+c and the like.
    """
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
        return work(ParentLink(descriptor=to_child[0], write_to=from_child[1]))
    os.close(from_child[1])
    os.close(to_child[0])
    _forward_signals(pid)
    wakeup, wakeup_writer = os.pipe()
    os.set_blocking(wakeup_writer, False)
    signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return _wait_for(pid, from_child[0], wakeup)


def _wait_for(pid: int, from_child: int, wakeup: int) -> int:
    """Wait until the child `pid` exits or leaves the terminal, and return the exit code.

    A signal just before the wait does not interrupt it, and its Python handler would run only afterwards:
    every signal makes `wakeup` readable, which ends the wait.
    """
    received = b""
    while True:
        ready, _, _ = select.select((from_child, wakeup), (), ())
        if wakeup in ready:
            os.read(wakeup, 4096)
        if from_child not in ready:
            continue
        if not (block := os.read(from_child, 4096)):
            break
        received += block
        if received.endswith(b"\0"):
            for stream, text in zip((sys.stdout, sys.stderr), received[:-1].split(b"\1"), strict=True):
                if text:  # empty: the terminal is gone or hangs
                    with contextlib.suppress(OSError):
                        os.write(stream.fileno(), text + b"\n")
            return 0
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _die_of(-code)
    return code


def _forward_signals(pid: int) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(pid, number)

    def stop_with_child(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ChildProcessError):  # it has exited, not stopped
            if os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None:
                os.kill(os.getpid(), signal.SIGSTOP)

    def resume_child(_number: int, _frame: FrameType | None) -> None:
        os.kill(pid, signal.SIGCONT)

    for number in _FORWARDED:
        signal.signal(number, forward)
    signal.signal(signal.SIGCHLD, stop_with_child)
    signal.signal(signal.SIGCONT, resume_child)
    # the child gets its own SIGHUP and leaves when it is ready
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _die_of(number: int) -> NoReturn:
    """Die of the same signal as the child, so that the shell sees it."""
    with contextlib.suppress(OSError):  # SIGKILL cannot be set
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
