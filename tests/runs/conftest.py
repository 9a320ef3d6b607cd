"""Attached runs and event logs."""

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.store import write_config
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
