"""Runs of this process, attached ones, and event logs."""

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import LossPoint
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.live import LiveRun
from tests.runs.control.helpers import wait_until


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


@pytest.fixture
def make_run(tmp_path, shared_image_folder):
    runs = []

    def make(*, on_folder=None, membership=None, **settings):
        config = TrainConfig(
            **{
                "data": str(shared_image_folder),
                "data_dir": str(tmp_path / "data"),
                "device": "cpu",
                "backend": "eager",  # the others compile first
                **settings,
            }
        )
        checkpoints = tmp_path / "checkpoints"
        run = LiveRun(config, checkpoints=checkpoints, on_folder=on_folder, membership=membership)
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.request(Request.STOP)
        assert run.wait(60)


@pytest.fixture
def at_first_point(monkeypatch):
    """Calls something in the training thread of a run when it reports its first losses."""

    def at_first_point(run, do):
        emit = run._emit

        def emit_and_do(event):
            emit(event)
            if isinstance(event, LossPoint):
                do()

        monkeypatch.setattr(run, "_emit", emit_and_do)

    return at_first_point
