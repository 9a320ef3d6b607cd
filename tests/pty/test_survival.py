"""A run goes on when its terminal is gone, however it went, and whoever comes back steers it.

CIFAR_TUI_SURVIVAL_SECONDS sets how long steps and CPU time are counted before and after the terminal goes.
"""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cifar_tui.engine.events import LossPoint, Phase
from cifar_tui.runs.event_log import EventReader
from cifar_tui.runs.owner import owner_of
from cifar_tui.runs.summary import read_summary

SECONDS = float(os.environ.get("CIFAR_TUI_SURVIVAL_SECONDS", "5"))
SPANS = 10
pytestmark = pytest.mark.alone

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


class Run:
    """The one run in `checkpoints`, as its log tells."""

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

    def rates(self, pump):
        """Steps and seconds of CPU a second, over `SECONDS`."""
        step, cpu, start = self.step, self._cpu_seconds(), time.monotonic()
        while time.monotonic() - start < SECONDS:
            pump()
        seconds = time.monotonic() - start
        return (self.step - step) / seconds, (self._cpu_seconds() - cpu) / seconds

    def _cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_training(terminal, tmp_path):
    terminal.until("Epoch", seconds=120)
    terminal.until_true(lambda: list(tmp_path.glob("checkpoints/*/last.pt")), seconds=120)
    return Run(tmp_path / "checkpoints")


def arguments(image_folder):
    settings = "--set evaluate_every=0 --set step_path=eager"
    return f"train --data {image_folder} --epochs 100000 --device cpu {settings}"


def assert_survived(run, before, pump):
    """The run is as fast as before and takes no more of the processor, in one of a few spans of time.

    A neighbour may slow a span down, and the screen cost so little that its end makes no difference to that.
    """
    steps, cpu = before
    for _ in range(SPANS):
        steps_after, cpu_after = run.rates(pump)
        ratio, cpu_ratio = steps_after / steps, (cpu_after / steps_after) / (cpu / steps)
        print(f"steps/s {steps:.1f} -> {steps_after:.1f} ({ratio:.3f}); CPU {cpu:.2f} -> {cpu_after:.2f}")
        if ratio >= 0.97 and cpu_ratio <= 1.05:
            break
    assert owner_of(run.folder).pid == run.pid
    assert ratio >= 0.97
    assert cpu_ratio <= 1.05
    # the training has one thread: who spins beside it takes more than half of another core
    assert cpu_after <= max(cpu, 1.0) + 0.25


def come_back_and_stop(terminal, run):
    """Attach, see the whole run, steer it and stop it."""
    terminal.until("While you were away", seconds=120)
    terminal.until(r"steps were trained")
    terminal.press("enter")
    terminal.until_gone("While you were away")
    terminal.until("▶ training")
    terminal.until(r"smoothed")
    terminal.press("space")
    terminal.until("paused")
    terminal.press("space")
    terminal.until("▶ training")
    terminal.press("s")
    terminal.until_true(lambda: not owner_of(run.folder).live)
    terminal.until("✓ done · stopped and saved at step")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert read_summary(run.folder).phase == Phase.DONE
    assert (run.folder / "last.pt").exists()


def pause_for_a_moment():
    time.sleep(0.05)


def test_a_killed_ssh_client(open_terminal, ssh, image_folder, tmp_path):
    terminal = open_terminal(command=ssh(f"{PROGRAM} {arguments(image_folder)}"))
    run = start_training(terminal, tmp_path)
    before = run.rates(terminal.pump)
    terminal.kill(signal.SIGKILL)
    assert_survived(run, before, pause_for_a_moment)
    come_back_and_stop(open_terminal(command=ssh(f"{PROGRAM} attach")), run)


def test_a_closed_window(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(*arguments(image_folder).split())
    run = start_training(terminal, tmp_path)
    before = run.rates(terminal.pump)
    terminal.hang_up()
    assert_survived(run, before, pause_for_a_moment)
    come_back_and_stop(open_terminal("attach"), run)


def test_a_terminal_that_nobody_reads(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(*arguments(image_folder).split())
    run = start_training(terminal, tmp_path)
    before = run.rates(terminal.pump)
    assert_survived(run, before, pause_for_a_moment)
    come_back_and_stop(open_terminal("attach"), run)


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
    before = run.rates(pause_for_a_moment)
    subprocess.run([*tmux, "kill-server"], check=True)
    assert_survived(run, before, pause_for_a_moment)
    come_back_and_stop(open_terminal("attach"), run)


def test_detaching_gives_the_prompt_back_and_says_how_to_come_back(open_terminal, image_folder, tmp_path):
    terminal = open_terminal(*arguments(image_folder).split())
    run = start_training(terminal, tmp_path)
    terminal.press("d")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()
    said = bytes(terminal.received).decode()
    back = re.search(rf"come back with: cifar-tui (attach {run.folder.name})", said)
    assert back, said
    assert owner_of(run.folder).pid == run.pid
    come_back_and_stop(open_terminal(*back[1].split()), run)


def test_a_terminal_that_ends_without_a_signal(open_terminal, image_folder, tmp_path):
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    program = [sys.executable, "-m", "cifar_tui", *arguments(image_folder).split()]
    terminal = open_terminal(command=[sys.executable, "-c", ignoring, *program])
    run = start_training(terminal, tmp_path)
    before = run.rates(terminal.pump)
    terminal.hang_up()
    assert_survived(run, before, pause_for_a_moment)
    come_back_and_stop(open_terminal("attach"), run)


def test_a_screen_that_hangs_on_its_terminal_does_not_keep_a_signal_from_saving(
    open_terminal, image_folder, tmp_path
):
    terminal = open_terminal(*arguments(image_folder).split())
    run = start_training(terminal, tmp_path)
    step = run.step
    deadline = time.monotonic() + 120
    while run.step < step + 300:  # while nobody reads what is drawn of them
        assert time.monotonic() < deadline
        pause_for_a_moment()
    terminal.kill(signal.SIGTERM)
    while terminal.ended() is None:
        assert time.monotonic() < deadline
        pause_for_a_moment()
    assert terminal.status == 128 + signal.SIGTERM
    assert not owner_of(run.folder).live
    assert (run.folder / "last.pt").exists()


def test_a_signal_ends_an_attached_screen_and_not_the_run(open_terminal, image_folder, tmp_path):
    run = start_training(open_terminal(*arguments(image_folder).split()), tmp_path)
    terminal = open_terminal("attach")
    terminal.until("attached to process")
    terminal.kill(signal.SIGTERM)
    assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    assert owner_of(run.folder).live
