"""Programs in pseudo-terminals of their own: executed, or forked from a process that has imported torch."""

import atexit
import contextlib
import fcntl
import multiprocessing
import os
import pty
import runpy
import signal
import struct
import sys
import termios
import threading
from multiprocessing.reduction import DupFd

FORKSERVER = multiprocessing.get_context("forkserver")
"""Forks processes from one that has imported torch."""
FORKSERVER.set_forkserver_preload(
    ["cifar_tui.cli.train", "cifar_tui.app.run", "cifar_tui.runs.live", "torch._dynamo", "numba"]
)


class ExecutedProgram:
    """The program `command` in a pseudo-terminal.

    Attributes:
        pid: its process id.
        descriptor: the other end of its pseudo-terminal.
    """

    def __init__(self, command, *, cwd, environment, size=(80, 24), ignore_hangup=False):
        self._code = None
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            _prepare(cwd, size, ignore_hangup=ignore_hangup)
            # given explicitly: readline leaves a size in the environment that os.environ does not know
            os.execvpe(command[0], command, environment)

    def poll(self):
        """The exit code as `subprocess` has it, or None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self):
        """Kill it and its process group; return the exit code."""
        os.killpg(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class ForkedProgram:
    """`python -m cifar_tui` in a pseudo-terminal, without the seconds that importing torch takes.

    An interpreter that starts otherwise, as in another locale, must be executed.

    Args:
        changes: code that is run first, in the program's process.

    Attributes:
        pid: its process id.
        descriptor: the other end of its pseudo-terminal.
    """

    def __init__(self, arguments, *, cwd, environment, size=(80, 24), ignore_hangup=False, changes=""):
        self.descriptor, terminal = os.openpty()
        prepared = DupFd(terminal), str(cwd), size, ignore_hangup
        self._process = FORKSERVER.Process(target=_run, args=(arguments, environment, changes, *prepared))
        self._process.start()
        os.close(terminal)
        self.pid = self._process.pid

    def poll(self):
        """The exit code as `subprocess` has it, or None while it runs."""
        return self._process.exitcode

    def kill(self):
        """Kill it and its process group; return the exit code."""
        self._process.kill()
        self._process.join()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.exitcode


def _prepare(cwd, size, *, ignore_hangup):
    """Set up a process that is forked from one of the tests as a shell would."""
    columns, rows = size
    os.chdir(cwd)
    # whatever the tests themselves were started with
    signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore_hangup else signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _run(arguments, environment, changes, terminal, cwd, size, ignore_hangup):
    """Run the program in this process, as an interpreter that has just started."""
    os.login_tty(terminal.detach())
    _prepare(cwd, size, ignore_hangup=ignore_hangup)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = sys.__stdin__ = stream(0, "r")
    sys.stdout = sys.__stdout__ = stream(1, "w")
    sys.stderr = sys.__stderr__ = stream(2, "w", errors="backslashreplace")
    sys.argv = ["cifar-tui", *arguments]
    try:
        exec(changes, {})
        runpy.run_module("cifar_tui", run_name="__main__", alter_sys=True)
    finally:  # which multiprocessing ends without
        threading._shutdown()
        atexit._run_exitfuncs()


def stream(descriptor, mode, errors=None):
    """A standard stream, as the interpreter makes it in a terminal."""
    return open(descriptor, mode, buffering=1, errors=errors, closefd=False)
