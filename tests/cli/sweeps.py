"""Sweeps in pseudo-terminals, whose runs are processes forked from one that has imported torch.

A run is otherwise started as a program, which imports torch for seconds; one test does that.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import termios
import threading
import time
import traceback
from pathlib import Path

from cifar_tui.cli.sweep_member import train_member
from cifar_tui.engine.events import LossPoint
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.membership import read_membership
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.listing import list_run
from cifar_tui.runs.sweep.processes import lock_process
from cifar_tui.runs.sweep.store import output_file
from cifar_tui.terminal.signals import STOP_SIGNALS
from tests.cli.command import wait_until
from tests.programs import FORKSERVER, ForkedProgram, stream

FORK = """
from cifar_tui.runs.sweep import processes
from tests.cli import sweeps
processes.start_process = sweeps.fork_process
"""


BROKEN_NET = """
import torch
class Broken(torch.nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = torch.nn.Linear(3 * 32 * 32, num_classes)
    def forward(self, images):
        if self.training and torch.is_grad_enabled() and len(images) == 3:
            raise ValueError("no such image")
        return self.layer(images.flatten(1))
"""
"""A net of the user's that cannot train on batches of 3 images."""


class ForkedProcess:
    """The process of a run, as `processes.ChildProcess`."""

    def __init__(self, pid):
        self._pid = pid
        self._stopped = False

    def exit_code(self):
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def stop(self):
        if not self._stopped:
            self._stopped = True
            os.kill(self._pid, signal.SIGUSR1)


def fork_process(command, environment, folder, number, worker):
    """Do what `processes.start_process` does, without a new interpreter."""
    lock = lock_process(folder, number, worker)
    pid = os.fork()
    if pid == 0:
        with output_file(folder, number).open("wb") as output:
            _become_member(command[3:], output.fileno(), lock)
    os.close(lock)
    return ForkedProcess(pid)


def _become_member(words, output, *kept):
    """Train the run that `words` name in this process, which prints to `output`; never returns."""
    code = 1
    try:
        os.setsid()
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for descriptor in map(int, os.listdir("/dev/fd")):
            if descriptor not in {0, 1, 2, *kept}:  # as exec does
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        sys.stdout = stream(1, "w")
        sys.stderr = stream(2, "w")
        folder, number, *cores = words
        code = train_member(Path(folder), int(number), list(map(int, cores)))
    except BaseException:  # noqa: BLE001 - it must be seen in the output, and not go on in the tests
        traceback.print_exc()
    finally:
        os._exit(code)


class MemberServer:
    """A process that has imported torch, and forks those of runs for programs that have not.

    Attributes:
        changes: code after which `cifar-tui sweep` starts `forked_member.py` for each run.
    """

    def __init__(self, folder):
        address = str(folder / "members")
        self.changes = MEMBERS_FROM_SERVER.format(address=address)
        self._process = FORKSERVER.Process(target=_serve, args=(address,))
        self._process.start()
        wait_until(Path(address).exists)

    def close(self):
        self._process.kill()
        self._process.join()


MEMBERS_FROM_SERVER = """
from cifar_tui.cli import sweep
from tests.cli import sweeps
import sys
sweep.member_command = lambda folder, number, cores: [
    sys.executable, "-I", "-S", sweeps.FORKED_MEMBER, {address!r}, str(folder.absolute()), str(number)
]
"""
FORKED_MEMBER = str(Path(__file__).with_name("forked_member.py"))


def _serve(address):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(16)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, (output,), _, _ = socket.recv_fds(connection, 1 << 20, 1)
    words, environment, cwd = json.loads(request)
    pid = os.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(cwd)
        _become_member(words, output)
    connection.send(str(pid).encode())
    connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


class SweepProgram:
    """`cifar-tui sweep` in a pseudo-terminal.

    Attributes:
        received: what it has printed.
    """

    def __init__(self, *arguments, cwd, size=(100, 30), changes=FORK):
        self.received = b""
        self._program = ForkedProgram(
            ["sweep", *map(str, arguments)],
            cwd=cwd,
            environment=os.environ | {"TERM": "xterm"},
            changes=changes,
            size=size,
        )
        self._open = True
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while self._open:
            if select.select([self._program.descriptor], [], [], 0.05)[0]:
                try:
                    self.received += os.read(self._program.descriptor, 65536)
                except OSError:
                    return

    @property
    def text(self):
        return self.received.decode(errors="replace")

    def press(self, key):
        os.write(self._program.descriptor, key.encode())

    def hang_up(self):
        self._open = False
        time.sleep(0.1)  # the reader waits no longer than half of it
        os.close(self._program.descriptor)
        self._program.descriptor = None

    @property
    def echoes(self):
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._program.descriptor)[3] & termios.ECHO)

    def wait(self, seconds=120):
        """Return the exit code."""
        wait_until(lambda: self._program.poll() is not None, seconds)
        return self._program.poll()

    def close(self):
        if self._program.poll() is None:
            self._program.kill()
        self._open = False
        if self._program.descriptor is not None:
            os.close(self._program.descriptor)


def scheduler_of(sweep):
    """The process id of the scheduler of the sweep in a folder; None if nobody works on it."""
    owner = owner_of(sweep)
    return owner.pid if owner.live else None


def runs_of(checkpoints, name):
    """The listed runs of a sweep by their numbers; each number once."""
    found = {}
    for folder in checkpoints.iterdir():
        member = read_membership(folder)
        if member is not None and member.sweep == name and (folder / "config.toml").exists():
            assert member.number not in found, "a run is there twice"
            found[member.number] = list_run(folder)
    return found


def states_of(checkpoints, name):
    return {number: run.state for number, run in runs_of(checkpoints, name).items()}


def have_trained(checkpoints, name):
    """Whether every run of a sweep that has a folder has trained a step; a summary says so seconds later."""
    runs = runs_of(checkpoints, name).values() if checkpoints.exists() else ()
    return bool(runs) and all(
        (run.folder / EVENTS_FILE).exists()
        and any(isinstance(event, LossPoint) for event in read_events(run.folder))
        for run in runs
    )


def end_all(checkpoints):
    """Kill what still works on runs and sweeps; for the end of a test."""
    for folder in [*checkpoints.glob("sweeps/*"), *checkpoints.iterdir()]:
        owner = owner_of(folder)
        if owner.live and owner.pid not in {None, os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(owner.pid, signal.SIGKILL)


def results(program):
    """The JSON that a program has printed."""
    text = program.text
    return json.loads(text[text.index("{\r\n") : text.rindex("}") + 1])
