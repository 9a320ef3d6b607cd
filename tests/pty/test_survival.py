"""A run continues when its terminal is gone, however it went, and can be steered again.

CIFAR_TUI_SURVIVAL_SECONDS sets how long steps and processor time are counted before and after. Steps per
second are only printed, because other processes slow them down. What counts is in the process itself: threads
that take processor time, and waits for a lock, without those for a core.
"""

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cifar_tui.engine.events import LossPoint, Phase
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.event_log import EventReader
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.summary import read_summary

SECONDS = float(os.environ.get("CIFAR_TUI_SURVIVAL_SECONDS", "3"))  # charts are drawn every two
MEASUREMENTS = 3

PROGRAM = f"{sys.executable} -m cifar_tui"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def ssh(tmp_path):
    """The command that runs another one over a real sshd on loopback, in `tmp_path`."""
    sshd = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("there is no sshd here; install openssh-server")
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    port = free_port()
    (keys / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile {keys}/pid\n"
        f"AuthorizedKeysFile {keys}/user.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([sshd, "-D", "-e", "-f", keys / "config"], stderr=subprocess.PIPE)
    for line in server.stderr:
        if b"Server listening" in line:
            break
    options = [f"-oUserKnownHostsFile={keys}/known", "-oStrictHostKeyChecking=no", "-oLogLevel=ERROR"]
    address = f"{getpass.getuser()}@127.0.0.1"

    def command(line):
        there = f"cd {tmp_path} && export COLORTERM=truecolor && {line}"
        return ["ssh", "-tt", "-F", "none", "-i", f"{keys}/user", *options, "-p", str(port), address, there]

    yield command
    server.kill()
    server.wait()


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How a process spent its time.

    Attributes:
        steps: training steps per second.
        blocked: share of the time in which the training thread waited, but not for a core.
        others: processor seconds of all other threads, per second.
    """

    steps: float
    blocked: float
    others: float


class Run:
    """The only run in `checkpoints`, from its event log."""

    def __init__(self, checkpoints):
        (self.folder,) = checkpoints.iterdir()
        self.pid = owner_of(self.folder).pid
        self._reader = EventReader(self.folder)
        self._step = 0

    @property
    def step(self):
        for event in self._reader.read():
            if isinstance(event, LossPoint):
                self._step = event.step
        return self._step

    def shares(self, pump):
        """Measure for `SECONDS`."""
        before, cpu, step, start = self._threads(), self._cpu_seconds(), self.step, time.monotonic()
        while time.monotonic() - start < SECONDS:
            pump()
        after, cpu_after, seconds = self._threads(), self._cpu_seconds(), time.monotonic() - start
        spent = {
            thread: tuple(
                (now - then) / 1e9 / seconds
                for now, then in zip(times, before.get(thread, (0, 0)), strict=True)
            )
            for thread, times in after.items()
        }
        running, ready = max(spent.values())
        assert running > 0.1, "the kernel tells how long a thread ran"
        return Shares(
            steps=(self.step - step) / seconds,
            blocked=max(0, 1 - running - ready),  # the counts and the clock are not read at one moment
            others=(cpu_after - cpu) / seconds - running,  # also of threads that have ended
        )

    def _cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _threads(self):
        """Nanoseconds that each thread ran, and waited for a core."""
        threads = {}
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                running, ready, _ = (thread / "schedstat").read_text().split()
                threads[thread.name] = int(running), int(ready)
        return threads


def start_training(terminal, tmp_path):
    terminal.until("Epoch", seconds=120)
    terminal.until_true(lambda: list(tmp_path.glob("checkpoints/*/last.pt")), seconds=120)
    return Run(tmp_path / "checkpoints")


def arguments(image_folder):
    settings = "--set eval_every=0 --set checkpoint_every_epochs=100 --set backend=eager"
    return f"train --data {image_folder} --epochs 100000 --device cpu {settings}"


def assert_survived(run, before, pump):
    """The training waits no more than before, and no other thread takes more processor time.

    A busy machine holds up a process now and then; what a screen holds up is held up in every measurement.
    """
    measured = []
    while len(measured) < MEASUREMENTS:
        after = run.shares(pump)
        print(f"{before} -> {after}")
        assert owner_of(run.folder).pid == run.pid
        assert after.steps > 0
        if after.blocked <= before.blocked + 0.03 and after.others <= before.others + 0.03:
            return
        measured.append(after)
    pytest.fail(f"{before} before, and {measured} after")


def assert_goes_on(run):
    """The same process makes hundreds of steps more."""
    step, deadline = run.step, time.monotonic() + 60
    while run.step < step + 300:
        assert time.monotonic() < deadline
        pause_for_a_moment()
    assert owner_of(run.folder).pid == run.pid


def come_back_and_stop(terminal, run):
    """Attach, see the whole run, steer it and stop it."""
    terminal.until("While you were away", seconds=120)
    terminal.until("steps")
    terminal.press("enter")
    terminal.until_gone("While you were away")
    terminal.until("▶ training")
    terminal.until(r"smoothed")
    terminal.press("space")
    terminal.until("‖ paused")
    terminal.press("space")
    terminal.until("▶ training")
    terminal.press("s")
    terminal.until_true(lambda: not owner_of(run.folder).live)
    terminal.until("■ stopped at step")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert read_summary(run.folder).phase == Phase.DONE
    assert (run.folder / "last.pt").exists()


def stop(run):
    """Stop it as another process does."""
    send_request(run.folder, Request.STOP)
    deadline = time.monotonic() + 60
    while owner_of(run.folder).live:
        assert time.monotonic() < deadline
        pause_for_a_moment()
    assert read_summary(run.folder).phase == Phase.DONE
    assert (run.folder / "last.pt").exists()


def pause_for_a_moment():
    time.sleep(0.05)


def test_a_killed_ssh_client(open_terminal, ssh, image_folder, tmp_path):
    terminal = open_terminal(command=ssh(f"{PROGRAM} {arguments(image_folder)}"))
    run = start_training(terminal, tmp_path)
    terminal.kill(signal.SIGKILL)
    assert_goes_on(run)
    come_back_and_stop(open_terminal(command=ssh(f"{PROGRAM} attach")), run)


def test_a_closed_window(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(*arguments(image_folder).split())
    run = start_training(terminal, tmp_path)
    before = run.shares(terminal.pump)
    terminal.hang_up()
    assert_survived(run, before, pause_for_a_moment)
    stop(run)


def test_a_terminal_that_nobody_reads_and_a_signal_that_saves_all_the_same(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal(*arguments(image_folder).split())
    run = start_training(terminal, tmp_path)
    before = run.shares(terminal.pump)
    assert_survived(run, before, pause_for_a_moment)
    assert_goes_on(run)  # until the screen hangs on what is drawn of its steps
    deadline = time.monotonic() + 120
    terminal.kill(signal.SIGTERM)
    while terminal.ended() is None:
        assert time.monotonic() < deadline
        pause_for_a_moment()
    assert terminal.status == 128 + signal.SIGTERM
    assert not owner_of(run.folder).live
    assert (run.folder / "last.pt").exists()


def test_a_killed_tmux_server(open_terminal, image_folder, tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux here")
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    line = f"cd {tmp_path} && {PROGRAM} {arguments(image_folder)}"
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
    subprocess.run([*tmux, "new-session", "-d", "-x", "120", "-y", "40", line], check=True, env=environment)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("checkpoints/*/last.pt")):
        assert time.monotonic() < deadline, "the training did not start"
        pause_for_a_moment()
    run = Run(tmp_path / "checkpoints")
    subprocess.run([*tmux, "kill-server"], check=True)
    assert_goes_on(run)
    stop(run)


def test_a_detached_run_is_attached_again_and_a_signal_ends_only_the_screen(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal(*arguments(image_folder).split())
    run = start_training(terminal, tmp_path)
    terminal.press("d")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()
    said = bytes(terminal.received).decode()
    command = re.search(rf": cifar-tui (attach {run.folder.name})", said)
    assert command, said
    assert owner_of(run.folder).pid == run.pid
    terminal = open_terminal(*command[1].split())
    terminal.until("attached to process")
    terminal.kill(signal.SIGTERM)
    assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    assert terminal.left_clean()
    assert owner_of(run.folder).live
    come_back_and_stop(open_terminal(*command[1].split()), run)


def test_a_terminal_that_ends_without_a_signal(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(*arguments(image_folder).split(), ignore_hangup=True)
    run = start_training(terminal, tmp_path)
    before = run.shares(terminal.pump)
    terminal.hang_up()
    assert_survived(run, before, pause_for_a_moment)
    stop(run)
