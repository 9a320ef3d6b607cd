"""A program whose work `run_in_child` does in a child process, in a pseudo-terminal, as a shell sees it."""

import contextlib
import os
import pty
import re
import select
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


START = f"""
import os, select, signal, sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from cifar_tui.terminal.supervisor import run_in_child

def say(text):
    os.write(1, text.encode() + b"\\n")

def work(shell):
    say(f"child {{os.getpid()}}.")
"""


END = """
sys.exit(run_in_child(work, how_to_continue=lambda folder: f"run {folder.name} has a checkpoint"))
"""


class Program:
    """A script, or a command, in a pseudo-terminal."""

    def __init__(self, folder, body="", *, before="", command=None):
        if command is None:
            (folder / "script.py").write_text(START + body + before + END)
            command = [sys.executable, "script.py"]
        self.received = b""
        self.descriptor = None
        self.children = []
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvp(command[0], command)

    def until(self, text, count=1):
        """Wait until the terminal has shown `text`."""
        end = time.monotonic() + 20
        while self.received.count(text.encode()) < count:
            assert time.monotonic() < end, self.received
            assert self.pump(), self.received

    def pump(self):
        """Read what is shown for a moment; false at its end."""
        if not select.select([self.descriptor], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # the other end is closed
            return False
        self.received += data
        return bool(data)

    def child(self):
        """The process id of the program's child."""
        self.until("child ")
        self.until(".")
        pid = int(self.received.partition(b"child ")[2].partition(b".")[0])
        if pid not in self.children:
            self.children.append(pid)
        return pid

    def wait_for_parent(self):
        """Wait until the parent of the child has prepared for signals: a hangup is ignored last."""
        parent = status(self.child(), "PPid")
        wait_until(lambda: int(status(parent, "SigIgn"), 16) & 1 << signal.SIGHUP - 1)

    def wait(self, options=0):
        """Return the status that the shell sees."""
        end = time.monotonic() + 20
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG | options)
            if pid:
                break
            assert time.monotonic() < end, self.received
            self.pump()
        if not os.WIFSTOPPED(status):
            self.pid = None
        while select.select([self.descriptor], [], [], 0)[0] and self.pump():
            pass
        return status

    def hang_up(self):
        os.close(self.descriptor)
        self.descriptor = None

    def close(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.descriptor is not None:
            self.hang_up()


def wait_until(condition, seconds=20):
    """Wait for `condition`, and fail when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.01)


def status(pid, name):
    """What the system tells of a process under `name`."""
    return re.search(rf"^{name}:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]


def ended(pid):
    """Whether the process has ended, even if it is still a zombie."""
    try:
        return status(pid, "State") == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
