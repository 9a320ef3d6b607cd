"""The program in a child process, in a real terminal: the shell waits for its parent, and it may leave."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

START = f"""
import os, select, signal, sys, time
sys.path.insert(0, {str(ROOT)!r})
from cifar_tui.terminal.supervisor import run_in_child

def say(text):
    os.write(1, text.encode() + b"\\n")

def work(shell):
    say(f"child {{os.getpid()}}.")
"""

END = """
sys.exit(run_in_child(work))
"""

NOTE_SIGNALS = """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
    for number in numbers:
        signal.signal(number, lambda number, frame: say(f"got {number}."))
    say("ready.")
    while True:
        time.sleep(0.01)
"""

SIGNAL_BEFORE_THE_WAIT = """
import ctypes, functools, operator
number, parent = signal.{name}, os.getpid()
signals = [functools.partial(ctypes.CDLL(None).kill, parent, number)]

def after_a_signal(wait):
    def wait_after_a_signal(*arguments):
        if os.getpid() != parent:
            return wait(*arguments)
        while not os.path.exists("go"):
            time.sleep(0.01)
        calls = [*signals, functools.partial(wait, *arguments)]
        signals.clear()
        # between the calls is no bytecode, where the signal's handler would be called
        return list(map(operator.call, calls))[-1]

    return wait_after_a_signal

os.read, select.select = after_a_signal(os.read), after_a_signal(select.select)
"""

LEAVE = """
    shell.leave("Come back.\\nSoon – bald.")
    shell.leave("Not again.")
    with open("session", "w") as file:
        file.write(str(os.getsid(0) == os.getpid()))
    while not os.path.exists("go"):
        time.sleep(0.01)
    with open("done", "w") as file:
        file.write("done")
    return 5
"""

WATCH = """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    say("ready.")
    select.select([shell.descriptor], [], [])
    with open("gone", "wb") as file:
        file.write(b"end" + os.read(shell.descriptor, 1))
    return 0
"""

STOP = """
    while not os.path.exists("go"):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIG{name})
    say("went on.")
    return 3
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


@pytest.fixture
def run(tmp_path):
    programs = []

    def run(body="", **options):
        programs.append(Program(tmp_path, body, **options))
        return programs[-1]

    yield run
    for program in programs:
        program.close()


def wait_until(condition, seconds=20):
    """Wait for `condition`, and fail when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.01)


def content(path):
    return path.read_text() if path.exists() else ""


def status(pid, name):
    """What the system tells of a process under `name`."""
    return re.search(rf"^{name}:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]


def ended(pid):
    """Whether the process has ended, even if it is still a zombie."""
    try:
        return status(pid, "State") == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("code", [0, 130])
def test_an_exit_code_is_passed_up(run, code):
    program = run(f"    return {code}\n")
    assert program.child() != program.pid
    assert os.waitstatus_to_exitcode(program.wait()) == code


def test_an_error_of_the_program_is_shown_and_passed_up(run):
    program = run("    raise ZeroDivisionError('a defect')\n")
    assert os.waitstatus_to_exitcode(program.wait()) == 1
    assert program.received.count(b"ZeroDivisionError: a defect") == 1


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_death_by_a_signal_is_passed_up(run, name):
    number = getattr(signal, name)
    program = run(
        f"    signal.signal({number}, signal.SIG_DFL) if {number} != signal.SIGKILL else None\n"
        f"    os.kill(os.getpid(), {number})\n    signal.pause()\n"
    )
    assert os.waitstatus_to_exitcode(program.wait()) == -number


def test_every_signal_to_the_parent_reaches_the_child_each_time(run):
    program = run(NOTE_SIGNALS)
    program.until("ready.")
    program.wait_for_parent()
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH"):
        number = getattr(signal, name)
        for count in (1, 2):
            os.kill(program.pid, number)
            program.until(f"got {number:d}.", count)


def test_a_signal_just_before_the_parent_waits_reaches_the_child(run, tmp_path):
    program = run(NOTE_SIGNALS, before=SIGNAL_BEFORE_THE_WAIT.format(name="SIGTERM"))
    program.until("ready.")
    (tmp_path / "go").touch()
    program.until(f"got {signal.SIGTERM:d}.")


def test_what_the_program_leaves_with_is_printed_and_the_prompt_comes_back(run, tmp_path):
    program = run(LEAVE)
    child = program.child()
    assert os.waitstatus_to_exitcode(program.wait()) == 0
    assert program.received.endswith("Come back.\r\nSoon – bald.\r\n".encode())
    wait_until(lambda: content(tmp_path / "session"))
    assert content(tmp_path / "session") == "True", "it has its own session"
    program.hang_up()
    (tmp_path / "go").touch()
    wait_until(lambda: content(tmp_path / "done"))
    wait_until(lambda: ended(child))


def test_a_hangup_does_not_end_the_parent_before_the_child_has_left(run, tmp_path):
    program = run(
        "    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n    say('ready.')\n"
        "    while not os.path.exists('go'):\n        time.sleep(0.01)\n"
        "    with open('parent', 'w') as file:\n        file.write(str(os.getppid()))\n" + LEAVE
    )
    child = program.child()
    parent = program.pid
    program.until("ready.")
    program.wait_for_parent()
    program.hang_up()
    (tmp_path / "go").touch()
    wait_until(lambda: content(tmp_path / "done"))
    assert content(tmp_path / "parent") == f"{parent}"
    wait_until(lambda: ended(child))
    _, status = os.waitpid(program.pid, 0)
    program.pid = None
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_link_of_the_child_ends_when_its_parent_is_killed(run, tmp_path):
    program = run(WATCH)
    child = program.child()
    program.until("ready.")
    assert not (tmp_path / "gone").exists()
    os.kill(program.pid, signal.SIGKILL)
    wait_until(lambda: content(tmp_path / "gone"))
    assert content(tmp_path / "gone") == "end", "there is nothing to read but the end"
    wait_until(lambda: ended(child))


def test_leaving_when_the_parent_is_gone_already_is_no_error(run, tmp_path):
    program = run(
        "    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n    say('ready.')\n"
        "    select.select([shell.descriptor], [], [])\n" + LEAVE
    )
    child = program.child()
    program.until("ready.")
    os.kill(program.pid, signal.SIGKILL)
    wait_until(lambda: content(tmp_path / "session"))
    (tmp_path / "go").touch()
    wait_until(lambda: content(tmp_path / "done"))
    wait_until(lambda: ended(child))


def test_the_parent_stops_with_the_child_and_both_go_on(run, tmp_path):
    # its terminal's session has no shell here: nothing but SIGSTOP stops a program in it
    program = run(STOP.format(name="STOP"))
    program.wait_for_parent()
    (tmp_path / "go").touch()
    assert os.WIFSTOPPED(program.wait(os.WUNTRACED))
    assert b"went on." not in program.received
    os.kill(program.pid, signal.SIGCONT)
    program.until("went on.")
    assert os.waitstatus_to_exitcode(program.wait()) == 3


def test_a_shell_has_its_prompt_back_while_the_program_is_suspended(run, tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    (tmp_path / "script.py").write_text(START + STOP.format(name="TSTP") + END)
    program = run(command=["bash", "--norc", "--noprofile", "-i"])
    os.write(program.descriptor, f"{sys.executable} script.py\n".encode())
    program.wait_for_parent()
    (tmp_path / "go").touch()
    program.until("Stopped")
    os.write(program.descriptor, b"echo $((40 + 2))\n")
    program.until("42")
    assert b"went on." not in program.received
    os.write(program.descriptor, b"fg\n")
    program.until("went on.")
    os.write(program.descriptor, b"echo code $((100 + $?))\n")
    program.until("code 103")
