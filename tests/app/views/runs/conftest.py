"""Runs on disk for the tests of the Runs view."""

import pytest

from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded, TrainingFinished
from cifar_tui.runs import listing
from cifar_tui.runs.disk.run_lock import Owner
from tests.app.views.runs_app import NEW, OLD, STOPPED, RunsApp
from tests.runs.made_events import record


@pytest.fixture
def make_run(tmp_path):
    def make(name, *, completed=True, **settings):
        folder = tmp_path / name
        folder.mkdir()
        config = TrainConfig(**{"data": "synthetic", **settings})
        finished = TrainingFinished(
            completed=completed, epoch=2, step=20, train_seconds=75.0, images=80, final_loss=1.0
        )
        record(folder, finished, PhaseChanged(phase=Phase.DONE), RunEnded(exit_code=0))
        (folder / "config.toml").write_text(config_to_toml(config))  # last: now it is a run
        return folder

    return make


@pytest.fixture
def app(make_run, tmp_path):
    make_run(OLD)
    make_run(STOPPED, completed=False, epochs=5)
    make_run(NEW, learning_rate=0.5)
    return RunsApp(tmp_path)


@pytest.fixture
def live(monkeypatch):
    """The names of the runs that a process owns."""
    names: set[str] = set()
    monkeypatch.setattr(listing, "owner_of", lambda folder: Owner(live=folder.name in names, crashed=False))
    return names
