"""A real pseudo-terminal around the program that counts what is drawn and does not interpret it.

An emulator, as the tests in tests/pty have, would take processor time from what is measured.
"""

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

from cifar_tui.bench.training import PROGRAM, Training, train_command

HELP = "Save a checkpoint now"
"""Text that only the help screen shows."""

CONTROL_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -Z^-~])")
ASKS_FOR_SYNCHRONIZED_OUTPUT, HAS_IT = b"\x1b[?2026$p", b"\x1b[?2026;2$y"


class Terminal:
    """A program in a terminal of `size` (columns, rows).

    It is read in `read_for` and `until` only: in between nobody reads, and the program may block.
    """

    def __init__(self, command, size):
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.bytes_read = 0
        self.drawn = bytearray()
        self.started = time.monotonic()
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execvpe(command[0], command, environment)

    def press(self, key):
        """Type `key`; `until` looks at what is drawn from now on."""
        self.drawn.clear()
        os.write(self.descriptor, key.encode())

    def read_for(self, seconds):
        """Return how many bytes are drawn in `seconds`."""
        before, end = self.bytes_read, time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            self._read(rest)
        return self.bytes_read - before

    def until(self, pattern, seconds=60.0):
        """Return the seconds until text drawn since the last key matches `pattern`."""
        start = time.monotonic()
        while not re.search(pattern, self._text()):
            assert time.monotonic() - start < seconds, f"{pattern!r} was not drawn: {self._text()[-500:]!r}"
            self._read(0.02)
        return time.monotonic() - start

    def close(self):
        """Kill the program."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)

    def _read(self, seconds):
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return
        data = os.read(self.descriptor, 65_536)  # OSError: the program has ended
        self.bytes_read += len(data)
        self.drawn = (self.drawn + data)[-200_000:]
        if ASKS_FOR_SYNCHRONIZED_OUTPUT in data:
            os.write(self.descriptor, HAS_IT)

    def _text(self):
        return CONTROL_SEQUENCE.sub(b"", self.drawn).decode(errors="replace")


class DashboardTraining(Training):
    """A training in the dashboard, in a terminal that is read while it is waited for."""

    def __init__(self, terminal, folder):
        super().__init__(terminal.pid, folder)
        self.terminal = terminal
        self.reads = True

    def wait(self, seconds):
        if self.reads:
            self.terminal.read_for(seconds)
        else:
            time.sleep(seconds)


@contextlib.contextmanager
def idle_dashboard(arguments, size):
    """The dashboard, opened with `arguments`."""
    terminal = Terminal([*PROGRAM, *arguments], size)
    try:
        yield terminal
    finally:
        terminal.close()


@contextlib.contextmanager
def dashboard_training(config, folder, size):
    """A training with `config` in the dashboard, whose run is below `folder`."""
    terminal = Terminal(train_command(config, folder), size)
    try:
        yield DashboardTraining(terminal, folder)
    finally:
        terminal.close()
