"""A real pseudo-terminal around the program, with a terminal emulator that reads what it draws."""

import codecs
import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time

import pyte
import pytest

from cifar_tui.runs.disk.run_lock import owner_of
from tests.programs import ExecutedProgram, ForkedProgram

KEYS = {"enter": "\r", "tab": "\t", "escape": "\x1b", "space": " ", "down": "\x1b[B", "up": "\x1b[A"}
ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """`program` in a terminal of `size` (columns, rows), with the working directory `cwd`."""

    def __init__(self, program, *, cwd, size):
        self.cwd = cwd
        self.received = bytearray()
        self.screen = pyte.Screen(*size)
        self.stream = pyte.Stream(self.screen)
        self.shown = None
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.started = time.monotonic()
        self.bytes_per_second = None
        self._program = program
        self.pid, self.descriptor = program.pid, program.descriptor
        self.status = None

    def pump(self, seconds=0.02):
        """Read what the program draws for a moment."""
        if self.descriptor is None or not select.select([self.descriptor], [], [], seconds)[0]:
            return
        try:
            data = os.read(self.descriptor, self._budget() if self.bytes_per_second else 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            self.descriptor = None
            return
        self.received += data
        self.shown = None
        # pyte takes the private forms of some sequences for others
        self.stream.feed(re.sub(r"\x1b\[[<>=][0-9;]*[a-zA-Z]", "", self.decoder.decode(data)))

    def _budget(self):
        """How many bytes a slow link carries in the time of one read."""
        time.sleep(0.05)
        return max(1, round(0.05 * self.bytes_per_second))

    def answer(self):
        """Answer questions about the cursor, as every terminal but pyte does."""
        self.screen.write_process_input = lambda data: os.write(self.descriptor, data.encode())

    def text(self):
        """The screen as lines of text."""
        if self.shown is None:
            self.shown = "\n".join(line.rstrip() for line in self.screen.display)
        return self.shown

    def until(self, pattern, seconds=60):
        """Wait until the screen's text matches `pattern`."""
        return self._wait(lambda: re.search(pattern, self.text()), pattern, seconds)

    def until_gone(self, pattern, seconds=60):
        """Wait until the screen's text does not match `pattern`."""
        self._wait(lambda: not re.search(pattern, self.text()), pattern, seconds)

    def until_true(self, condition, seconds=60):
        """Wait until `condition` holds, while the program draws."""
        self._wait(condition, "the condition", seconds)

    def _wait(self, condition, what, seconds):
        end = time.monotonic() + seconds
        while not (met := condition()):
            if time.monotonic() > end or self.descriptor is None:
                pytest.fail(f"{what!r} was not met; the screen showed:\n{self.text()}")
            self.pump()
        return met

    def press(self, *keys):
        """Send keys by name, or characters."""
        for key in keys:
            control = re.fullmatch(r"ctrl\+(.)", key)
            data = chr(ord(control[1]) & 0x1F) if control else KEYS.get(key, key)
            os.write(self.descriptor, data.encode())
            self.pump(0.05)

    def resize(self, columns, rows):
        """Change the window's size."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)
        self.shown = None
        os.kill(self.pid, signal.SIGWINCH)

    def kill(self, number):
        """Send a signal."""
        os.kill(self.pid, number)

    def wait_for_exit(self, seconds=60):
        """The exit status, when the program has ended."""
        end = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() > end:
                pytest.fail(f"the program did not end; the screen showed:\n{self.text()}")
            self.pump()
        while self.descriptor is not None and select.select([self.descriptor], [], [], 0)[0]:
            self.pump()
        return self.status

    def ended(self):
        if self.status is None:
            self.status = self._program.poll()
        return self.status

    def left_clean(self):
        """Whether the alternate screen was left, the cursor shown and the mouse given back at last."""
        data = bytes(self.received)
        return (
            data.rfind(LEAVE_SCREEN) > data.rfind(ENTER_SCREEN)
            and data.rfind(b"\x1b[?25h") > data.rfind(b"\x1b[?25l")
            and data.rfind(b"\x1b[?1000l") >= data.rfind(b"\x1b[?1000h")
        )

    def hang_up(self):
        """Close the terminal, as a window that is closed."""
        os.close(self.descriptor)
        self.descriptor = None

    def close(self):
        if self.ended() is None:
            self.status = self._program.kill()
        if self.descriptor is not None:
            self.hang_up()
        for folder in self.cwd.glob("checkpoints/*"):
            owner = owner_of(folder)
            if owner.live and owner.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(owner.pid, signal.SIGKILL)


@pytest.fixture
def open_terminal(tmp_path):
    """Opens programs in terminals, in `tmp_path`, and ends them after the test.

    The arguments are those of `cifar-tui`, unless there is a `command`; `changes` is code run before it.
    """
    terminals = []

    def open_one(*arguments, command=None, size=(120, 40), ignore_hangup=False, changes="", **environment):
        inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        options = {
            "environment": inherited | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | environment,
            "cwd": tmp_path,
            "size": size,
            "ignore_hangup": ignore_hangup,
        }
        if command is None:
            program = ForkedProgram([str(argument) for argument in arguments], changes=changes, **options)
        else:
            program = ExecutedProgram(command, **options)
        terminals.append(Terminal(program, cwd=tmp_path, size=size))
        return terminals[-1]

    yield open_one
    for terminal in terminals:
        terminal.close()
