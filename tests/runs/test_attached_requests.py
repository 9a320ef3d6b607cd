"""`AttachedRun`: requests to the process that owns the run, and what is shown until they take effect."""

import pytest

from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.state import PendingRequest
from tests.runs.control.helpers import log, make_control_server, texts, wait_until


@pytest.fixture
def accepted(folder):
    """The requests that the owner of `folder` has accepted."""
    requests = []
    lock, server = RunLock(folder), make_control_server(folder, requests.append)
    lock.acquire()
    server.start()
    yield requests
    server.close()
    lock.release()


def test_a_request_to_a_run_that_has_ended_becomes_an_alert(attach, folder):
    log(folder, PhaseChanged(phase=Phase.DONE), RunEnded(exit_code=0))
    run = attach(folder)
    run.request(Request.PAUSE)
    wait_until(lambda: texts(run, "alert"))
    assert "is not reachable: nothing is listening" in run.snapshot().alert.text
    assert run.snapshot().phase is Phase.DONE


def test_a_refusal_becomes_an_alert_with_its_reason(attach, folder):
    log(folder, PhaseChanged(phase=Phase.LOADING))
    server = make_control_server(folder, lambda request: f"the run is loading: no {request}")
    server.start()
    run = attach(folder)
    run.request(Request.PAUSE)
    wait_until(lambda: texts(run, "alert"))
    assert texts(run, "alert") == ["the run is loading: no pause"]
    server.close()


def test_an_accepted_request_is_shown_until_it_takes_effect(attach, folder, accepted):
    log(folder, PhaseChanged(phase=Phase.EVALUATING))
    run = attach(folder)
    for request, pending in (
        (Request.TOGGLE_PAUSE, PendingRequest.PAUSE),
        (Request.TOGGLE_PAUSE, None),  # it is the owner that knows whether to pause or to resume
        (Request.PAUSE, PendingRequest.PAUSE),
        (Request.RESUME, None),
        (Request.TOGGLE_PAUSE, PendingRequest.PAUSE),
    ):
        run.request(request)
        wait_until(lambda pending=pending: run.snapshot().pending is pending)
    log(folder, PhaseChanged(phase=Phase.PAUSED))
    wait_until(lambda: run.snapshot().phase is Phase.PAUSED)
    assert run.snapshot().pending is None
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    wait_until(lambda: run.snapshot().phase is Phase.TRAINING)
    assert run.snapshot().pending is None, "it took effect"
    run.request(Request.STOP)
    wait_until(lambda: run.snapshot().pending is PendingRequest.STOP)
    assert accepted == [
        Request.TOGGLE_PAUSE,
        Request.TOGGLE_PAUSE,
        Request.PAUSE,
        Request.RESUME,
        Request.TOGGLE_PAUSE,
        Request.STOP,
    ]


def test_two_quick_presses_leave_nothing_pending(attach, folder, accepted):
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    run = attach(folder)
    with run._sending:  # the replies take long
        run.request(Request.TOGGLE_PAUSE)
        run.request(Request.TOGGLE_PAUSE)
    wait_until(lambda: len(accepted) == 2)
    with run._sending:
        assert run.snapshot().pending is None


def test_a_reply_that_arrives_after_the_pause_is_not_shown_once_training_is_resumed(attach, folder, accepted):
    log(folder, PhaseChanged(phase=Phase.PAUSED))
    run = attach(folder)
    run._pending = PendingRequest.PAUSE
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    wait_until(lambda: run.snapshot().phase is Phase.TRAINING)
    assert run.snapshot().pending is None


@pytest.mark.parametrize("phase", [Phase.SAVING, Phase.PAUSED])
def test_resuming_a_paused_run_is_never_pending(attach, folder, accepted, phase):
    log(folder, PhaseChanged(phase=phase))
    run = attach(folder)
    run.request(Request.TOGGLE_PAUSE)
    wait_until(lambda: accepted == [Request.TOGGLE_PAUSE])
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    wait_until(lambda: run.snapshot().phase is Phase.TRAINING)
    assert run.snapshot().pending is None
