"""Signals: which stop a run, which leave the terminal, and how often."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from cifar_tui.app.launch import Evaluate
from cifar_tui.cli.headless import _stop_on_signals, _Terminal, evaluate_headless, train_headless
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.summary import read_summary
from cifar_tui.runs.live import LiveRun
from cifar_tui.terminal import signals as module
from cifar_tui.terminal.signals import STOP_SIGNALS, StopSignals, TerminalWatch

NAMES = ["SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM"]
"""With which batch systems announce the end of a job, users stop it, and shells."""


@pytest.fixture(autouse=True)
def handlers_as_before():
    numbers = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGTSTP)
    # a background job, such as the tests may be, ignores some
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    return clock


INT, TERM, QUIT = signal.SIGINT, signal.SIGTERM, signal.SIGQUIT
USR1, USR2, XCPU, ALRM = signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGALRM


@pytest.mark.parametrize(
    ("received", "at_once"),
    [
        ([(0, TERM)], False),
        ([(0, TERM), (0.1, TERM)], False),  # a group and the process
        ([(0, INT), (0.1, INT), (0.2, TERM)], False),
        ([(0, TERM), (5, TERM)], True),
        ([(0, INT), (5, QUIT)], True),
        ([(0, XCPU), (1.5, XCPU), (3, XCPU), (4.5, XCPU)], False),  # the kernel, every second
        ([(0, USR1), (60, TERM)], False),  # Slurm's warning and its limit
        ([(0, USR1), (60, TERM), (70, TERM)], True),
        ([(0, USR2), (10, INT), (10.5, TERM)], False),  # LSF's limit
        ([(0, USR1), (5, USR1), (9, USR2), (20, ALRM)], False),
        ([(0, TERM), (5, USR1)], False),
    ],
)
def test_only_an_impatient_user_keeps_a_run_from_being_saved(clock, received, at_once):
    signals = StopSignals()
    assert signals.exit_code == 0
    for seconds, number in received:
        clock.now = 100 + seconds
        leaves = signals.receive(number)
    assert leaves is at_once
    assert signals.exit_code == 128 + received[0][1]


def test_a_run_is_saved_on_every_signal_that_announces_an_end():
    assert [number.name for number in STOP_SIGNALS] == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"SIGINT", "SIGTERM"}])
def test_a_headless_run_stops_and_saves(image_folder, tmp_path, name):
    number = getattr(signal, name)
    checkpoints = tmp_path / "checkpoints"
    config = TrainConfig(
        data=str(image_folder), data_dir=str(tmp_path), device="cpu", epochs=100_000, eval_every=0
    )

    def signal_once_it_trains():
        while not list(checkpoints.glob("*/last.pt")):
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # as whoever signals a process group does

    threading.Thread(target=signal_once_it_trains, daemon=True).start()
    assert train_headless(config, checkpoints=checkpoints, as_json=False) == 128 + number
    (folder,) = checkpoints.iterdir()
    assert read_summary(folder).phase == "done"
    assert torch.load(folder / "last.pt", weights_only=True)["step"] > 0
    assert not owner_of(folder).crashed


def test_a_signal_that_is_ignored_stays_ignored_unless_it_is_a_promise(monkeypatch, tmp_path):
    handled = {}

    def evaluate(*_, **__):
        handled.update({name: signal.getsignal(getattr(signal, name)) for name in NAMES})
        raise ZeroDivisionError

    monkeypatch.setattr("cifar_tui.cli.headless._follow", evaluate)
    monkeypatch.setattr("cifar_tui.runs.live.LiveRun.start_evaluation", lambda *_, **__: None)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    launch = Evaluate(weights=tmp_path / "net.pth", config=TrainConfig())
    with pytest.raises(ZeroDivisionError):
        evaluate_headless(launch, checkpoints=tmp_path, as_json=False)
    caught = {name for name, handler in handled.items() if handler is not signal.SIG_IGN}
    assert caught == {"SIGINT", "SIGTERM"}
    assert {signal.getsignal(number) for number in STOP_SIGNALS} == {signal.SIG_IGN}


def next_status(pid, kind):
    """What becomes of the child `pid`: it stops, or goes on."""
    deadline = time.monotonic() + 20
    while True:
        changed, status = os.waitpid(pid, kind | os.WNOHANG)
        if changed:
            return status
        assert time.monotonic() < deadline, "nothing became of it"
        time.sleep(0.01)


def test_a_headless_run_is_suspended_also_in_a_session_without_a_shell(tmp_path):
    """Where the system would discard the signal, as under a batch system."""
    ready, tell = os.pipe()
    run = LiveRun(TrainConfig(), checkpoints=tmp_path)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            with _stop_on_signals(run, _Terminal()):
                os.write(tell, b"1")
                time.sleep(60)
        finally:
            os._exit(0)
    try:
        os.read(ready, 1)
        os.kill(pid, signal.SIGTSTP)
        assert os.WIFSTOPPED(next_status(pid, os.WUNTRACED))
        os.kill(pid, signal.SIGCONT)
        assert os.WIFCONTINUED(next_status(pid, os.WCONTINUED))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


class Watched:
    """A watch over a pipe in place of a terminal, and what it asked for."""

    def __init__(self):
        self.asked = []
        self.alive = True
        self.taken_over = threading.Event()
        self.read, self.write = os.pipe()
        self.watch = TerminalWatch(
            [self.read],
            on_lost=lambda: self.asked.append("lost"),
            on_signal=self.asked.append,
            is_alive=lambda: self.alive,
            take_over=self.take_over,
        )
        self.watch.start()

    def take_over(self):
        self.taken_over.set()
        self.watch.stop()


@pytest.fixture
def watched():
    watched = Watched()
    yield watched
    watched.watch.stop()
    os.close(watched.read)


def test_a_dashboard_is_told_of_every_signal(watched):
    for number in STOP_SIGNALS:
        os.kill(os.getpid(), number)
    assert watched.asked == [*STOP_SIGNALS]
    watched.watch.stop()
    for number in (signal.SIGHUP, *STOP_SIGNALS, signal.SIGHUP):  # after the screen
        os.kill(os.getpid(), number)
    assert watched.asked == [*STOP_SIGNALS, "lost", *STOP_SIGNALS]
    os.close(watched.write)


def test_a_terminal_that_closes_is_lost_once(watched):
    os.close(watched.write)
    deadline = time.monotonic() + 20
    while not watched.asked:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGHUP)
    assert watched.asked == ["lost"]


@pytest.mark.parametrize("how", ["signal", "failure"])
def test_a_screen_that_hangs_instead_of_exiting_is_replaced(watched, monkeypatch, how):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    watched.alive = False
    if how == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        watched.watch.expect_exit()
    assert watched.taken_over.wait(20)
    os.close(watched.write)


def test_signals_that_are_repeated_do_not_put_off_the_end_of_a_screen_that_hangs(watched, clock):
    watched.alive = False
    for now in (100.0, 104.0):
        clock.now = now
        os.kill(os.getpid(), signal.SIGXCPU)
    clock.now = 106.0
    assert watched.taken_over.wait(20)
    os.close(watched.write)
