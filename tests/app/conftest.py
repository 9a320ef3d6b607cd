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
    """The runs that were started: they load and train nothing, and are live until they say how they ended."""

    def __init__(self, monkeypatch):
        self.trained, self.evaluated = [], []
        live = property(lambda run: self._is_started(run) and run.snapshot().ended is None)
        monkeypatch.setattr(LiveRun, "live", live)
        monkeypatch.setattr(LiveRun, "start_training", lambda run: self.trained.append(run))
        monkeypatch.setattr(
            LiveRun,
            "start_evaluation",
            lambda run, weights, **_: self.evaluated.append((run, weights)),
        )
        monkeypatch.setattr(
            LiveRun, "start_run_evaluation", lambda run: self.evaluated.append((run, run.folder))
        )

    def _is_started(self, run):
        return run in self.trained or run in [run for run, _ in self.evaluated]


@pytest.fixture
def started(monkeypatch):
    return Started(monkeypatch)
