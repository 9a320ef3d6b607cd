"""Which request is allowed when, and where the socket is."""

import os
from pathlib import Path

import pytest

from cifar_tui.engine.events import Phase, PhaseChanged, TrainingFinished
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request, is_allowed, socket_address, socket_path
from cifar_tui.runs.state import RunState
from tests.runs.made_events import STARTED

FINISHED = TrainingFinished(completed=True, epoch=3, step=300, train_seconds=1.0, images=1200, final_loss=1.0)
LOADING = [PhaseChanged(phase=Phase.LOADING)]
TRAINING = [*LOADING, STARTED, PhaseChanged(phase=Phase.TRAINING)]
EVALUATING = [*TRAINING, FINISHED, PhaseChanged(phase=Phase.EVALUATING)]


def allowed(events, **circumstances):
    state = RunState()
    for event in events:
        state.apply(event)
    return {request for request in Request if is_allowed(request, state.snapshot(), **circumstances)}


def test_a_run_in_training_answers_every_request():
    assert allowed(TRAINING, live=True) == set(Request)
    assert allowed([*TRAINING, PhaseChanged(phase=Phase.PAUSED)], live=True) == set(Request)


@pytest.mark.parametrize("events", [LOADING, EVALUATING], ids=["before", "after"])
def test_before_and_after_training_a_run_can_only_be_stopped(events):
    assert allowed(events, live=True) == {Request.STOP}


def test_a_run_that_has_ended_can_only_be_evaluated_where_its_weights_can_be():
    assert allowed(EVALUATING, live=False) == set()
    assert allowed(TRAINING, live=False) == set(), "its process died"
    assert allowed(EVALUATING, live=False, can_evaluate_saved=True) == {Request.EVALUATE}


def test_the_socket_is_in_the_folder_of_the_run_whatever_that_is_called(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    monkeypatch.chdir(tmp_path)
    expected = tmp_path.resolve() / "run" / "control.sock"
    assert {socket_path(tmp_path / name) for name in ("run", "link", "run/../run")} == {expected}


@pytest.mark.parametrize("size", [107, 108, 400], ids=["as long as allowed", "too long", "far too long"])
def test_a_path_beyond_the_limit_of_the_platform_is_reached_all_the_same(tmp_path, make_server, size):
    folder = tmp_path.resolve()
    missing = size - len(os.fsencode(folder)) - len("/control.sock")
    while missing > 0:  # in parts, for a name has at most 255 bytes
        part = missing if missing <= 200 else 100
        folder /= "é" * ((part - 1) // 2) + "x" * ((part - 1) % 2)
        missing -= part
    server = make_server(folder)
    assert len(os.fsencode(folder / "control.sock")) == size
    assert (folder / "control.sock").is_socket()
    send_request(folder, Request.SAVE)
    assert server.requests == [Request.SAVE]
    server.close()
    assert list(folder.iterdir()) == []


def test_the_way_to_a_socket_with_a_long_path_is_removed(tmp_path):
    folder = tmp_path / ("a" * 200)
    folder.mkdir()
    with socket_address(folder) as address:
        assert len(address) < 104
        way = Path(address).parent
        assert way.samefile(folder)
    assert not way.exists()
