"""A dashboard for the tests of the screens, and runs that only look as if they worked."""

import pytest

from cifar_tui.app.app import CifarApp
from cifar_tui.app.launch import Idle
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.live import LiveRun


@pytest.fixture
def app(tmp_path):
    launch = Idle(config=TrainConfig(epochs=7, data="synthetic"))
    return CifarApp(launch, checkpoints=tmp_path / "checkpoints")


class Started:
    """The runs that were started; nothing is loaded or trained."""

    def __init__(self, monkeypatch):
        self.trained, self.evaluated = [], []
        monkeypatch.setattr(LiveRun, "start_training", lambda run: self.trained.append(run))
        monkeypatch.setattr(
            LiveRun, "start_evaluation", lambda run, weights: self.evaluated.append((run.config, weights))
        )


@pytest.fixture
def started(monkeypatch):
    return Started(monkeypatch)
