"""Trainings in other processes: how they are followed, checked and ended."""

import math
import os
import sys
import time

import pytest
import torch

from cifar_tui.bench import training as module
from cifar_tui.bench.training import Training, check_learned, check_points, check_weights
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.models.registry import create_model
from cifar_tui.runs.disk.event_log import EventLog
from tests.bench.loss_points import loss_points

FALLING = [2.3 - 0.004 * number for number in range(500)]

STUBBORN = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
while True:
    signal.pause()
"""


def test_a_training_that_learns_passes():
    check_points(loss_points(*FALLING), "it")
    check_points(loss_points(2.3), "it")
    check_points(loss_points(*FALLING[100::-1]), "it")  # too early to tell


@pytest.mark.parametrize(
    "losses", [[], [*FALLING, math.nan], FALLING[::-1], [2.3] * 40], ids=["none", "nan", "rising", "constant"]
)
def test_losses_that_do_not_fall_are_an_error(losses):
    with pytest.raises(RunFailedError, match="it: the loss did not decrease"):
        check_points(loss_points(*losses), "it")


def test_missing_steps_are_an_error():
    points = loss_points(*FALLING)
    del points[7]
    with pytest.raises(RunFailedError, match="it: steps are missing"):
        check_points(points, "it")


def test_weights_that_are_not_finite_are_an_error(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.ones(3)}, path)
    check_weights(path)
    torch.save({"weight": torch.tensor([1.0, math.nan])}, path)
    with pytest.raises(RunFailedError, match="non-finite"):
        check_weights(path)


def test_weights_that_have_not_learned_are_an_error(image_folder, tmp_path):
    from cifar_tui.bench.options import BenchOptions

    path = tmp_path / "weights.pth"
    net = create_model("net", num_classes=3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()  # every answer is the first class
    torch.save(net.state_dict(), path)
    config = BenchOptions(data=str(image_folder), data_dir=str(tmp_path), device="cpu").config("tutorial")
    with pytest.raises(RunFailedError, match=r"only 33\.3 % accuracy"):
        check_learned(config, path)


class Logged(Training):
    """A training that appends the next of `points` to its log whenever it is waited for."""

    def __init__(self, folder, points):
        super().__init__(0, folder)
        self.log = EventLog(folder)
        self.rest = list(points)

    def wait(self, seconds):
        if self.rest:
            self.log.append(self.rest.pop(0))
            self.log.close()
            self.log = EventLog(self._folder)


@pytest.fixture
def minutes(monkeypatch):
    """A clock that advances by a minute whenever it is read."""
    passed = iter(range(10_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: 60.0 * next(passed))


def test_a_slow_training_is_waited_for_while_it_logs(tmp_path, minutes):
    training = Logged(tmp_path, loss_points(*FALLING))
    training.wait_for_point_after(0.0)
    training.wait_for(lambda: len(training.points) == 40)
    assert training.points[-1].step == 400


def test_a_training_that_stops_logging_is_an_error(tmp_path, minutes):
    training = Logged(tmp_path, loss_points(2.3))
    with pytest.raises(RunFailedError, match="stopped logging"):
        training.wait_for(lambda: len(training.points) > 1)


@pytest.mark.parametrize("suspended", [False, True])
def test_no_process_is_left(tmp_path, monkeypatch, suspended):
    monkeypatch.setattr(module, "_EXIT_SECONDS", 0.1)
    with module._training([sys.executable, "-c", STUBBORN, str(tmp_path)], tmp_path) as training:
        while len(list(tmp_path.iterdir())) < 2:
            training.wait(0.01)
        if suspended:
            training.suspend()
    give_up = time.monotonic() + 60
    while True:
        try:
            os.killpg(training._group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < give_up
        time.sleep(0.01)
