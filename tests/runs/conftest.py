"""Runs with a control socket, folders for it, and logs."""

import tempfile
from pathlib import Path

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.store import write_config
from tests.runs.control.helpers import Run, wait_until


@pytest.fixture
def make_run(tmp_path):
    runs = []

    def make(folder=tmp_path / "run", **options):
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(folder, **options)
        runs.append(run)
        run.server.start()
        return run

    yield make
    for run in runs:
        run.server.close()
        assert not run.thread.is_alive()


@pytest.fixture
def run(make_run):
    return make_run()


@pytest.fixture
def long_folder(tmp_path):
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def runtime_folder(monkeypatch):
    """A short runtime folder."""
    with tempfile.TemporaryDirectory(prefix="rt") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def temporary_folder(monkeypatch):
    """No runtime folder, and a short one for temporary files."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with tempfile.TemporaryDirectory(prefix="tf") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def open_log(tmp_path):
    logs = []

    def open_log():
        logs.append(EventLog(tmp_path))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


@pytest.fixture
def attach():
    runs = []

    def attach(folder):
        run = AttachedRun(folder)
        runs.append(run)
        run.start()
        wait_until(lambda: run.loaded, seconds=10)
        return run

    yield attach
    for run in runs:
        run.close()


@pytest.fixture
def folder(tmp_path):
    """The folder of a run of which nothing is logged yet."""
    write_config(tmp_path, TrainConfig(data="synthetic", epochs=3))
    EventLog(tmp_path).close()
    return tmp_path
