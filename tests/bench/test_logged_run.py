"""Trainings that are followed by their log, and how they are ended."""

import os
import signal
import sys

import pytest

from cifar_tui.bench import logged_run
from cifar_tui.bench.logged_run import LoggedRun, headless_run
from cifar_tui.bench.long_run import append_events
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.terminal import Terminal
from cifar_tui.engine.errors import DataUnavailableError, RunFailedError
from cifar_tui.engine.events import LossPoint
from cifar_tui.runs.disk.store import create_run_folder

WRITES_DOWN_SIGNALS = """
import signal, sys, time
file, told = open(sys.argv[1], "w"), []
def note(number, _):
    told.append(number)
    file.write(f"{number} ")
    file.flush()
signal.signal(signal.SIGTERM, note)
signal.signal(signal.SIGCONT, note)
print("ready", flush=True)
while signal.SIGTERM not in told:
    signal.pause()
"""


class Log:
    """The log of a run, to which `write` adds the next point."""

    def __init__(self, checkpoints):
        self.folder = create_run_folder(checkpoints, BenchOptions().config("tutorial"))
        self.step = 0

    def write(self, *_):
        self.step += 10
        point = LossPoint(
            step=self.step, steps=10, epoch=1, batch=self.step, loss=1.0,
            accuracy=0.5, learning_rate=0.001, images=40, train_seconds=float(self.step),
        )  # fmt: skip
        append_events(self.folder, [point])


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a minute whenever it is looked at."""
    minutes = iter(range(10_000))
    monkeypatch.setattr(logged_run.time, "monotonic", lambda: 60.0 * next(minutes))


def test_a_slow_run_is_waited_for_as_long_as_it_goes_on(tmp_path, clock):
    log = Log(tmp_path)
    run = LoggedRun(0, tmp_path, log.write)
    run.until(lambda: run.last_step >= 200)
    assert run.last_step == 200
    assert run.step_seconds == 1.0


def test_a_run_that_does_not_go_on_is_given_up(tmp_path, clock):
    Log(tmp_path).write()
    run = LoggedRun(0, tmp_path, lambda _: None)
    with pytest.raises(RunFailedError, match="does not go on"):
        run.until(lambda: run.last_step >= 200)
    assert run.last_step == 10


def test_a_run_that_ends_is_told_of_with_its_own_exit_code(tmp_path):
    config = BenchOptions(data="/nowhere", device="cpu").config("tutorial")
    with (
        pytest.raises(DataUnavailableError, match=r"ended: .*/nowhere"),
        headless_run(config, tmp_path) as run,
    ):
        run.warmup_fraction(1.0)


@pytest.mark.parametrize("halted", [False, True])
def test_only_a_program_that_was_halted_is_told_to_go_on(tmp_path, halted):
    """Textual begins anew with its terminal when it is told so, and then is ten seconds in leaving it."""
    path = tmp_path / "signals"
    with Terminal([sys.executable, "-c", WRITES_DOWN_SIGNALS, str(path)], columns=80, rows=24) as program:
        assert program.until("ready", 30) is not None
        if halted:
            os.killpg(program.group, signal.SIGSTOP)
            os.waitid(os.P_PID, program.group, os.WSTOPPED | os.WNOWAIT)
    told = set(map(int, path.read_text().split()))
    assert told == ({signal.SIGTERM, signal.SIGCONT} if halted else {signal.SIGTERM})
