"""`AttachedRun`: what is asked of a run that another process owns, and what is shown until it comes."""

import pytest

from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.control.server import ControlServer
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.state import PendingRequest
from tests.runs.control.helpers import log, texts, wait_until


@pytest.mark.parametrize("command", ["pause", "resume", "pause_or_resume", "save", "evaluate", "stop"])
def test_what_is_asked_of_a_run_that_is_over_is_answered_by_an_alert(attach, folder, command):
    log(folder, PhaseChanged(phase=Phase.DONE), RunEnded(exit_code=0))
    run = attach(folder)
    getattr(run, command)()
    wait_until(lambda: texts(run, "alert"))
    assert "cannot be reached: nobody listens" in run.snapshot().alert.text
    assert run.snapshot().phase is Phase.DONE


def test_what_the_owner_refuses_becomes_an_alert_with_its_sentence(attach, folder):
    log(folder, PhaseChanged(phase=Phase.LOADING))
    server = ControlServer(folder, lambda request: f"the run is loading: no {request}")
    server.start()
    run = attach(folder)
    run.request(Request.PAUSE)
    wait_until(lambda: texts(run, "alert"))
    assert texts(run, "alert") == ["the run is loading: no pause"]
    server.close()


def test_it_is_the_owner_who_knows_whether_to_pause_or_to_resume(attach, folder):
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    asked = []
    server = ControlServer(folder, asked.append)
    server.start()
    run = attach(folder)
    for count in (1, 2):  # the second before the log tells of the first
        run.request(Request.TOGGLE_PAUSE)
        wait_until(lambda count=count: len(asked) == count)
    assert asked == ["pause_or_resume", "pause_or_resume"]
    server.close()


@pytest.fixture
def agreed(folder):
    """What the owner of `folder` has agreed to."""
    requests = []
    lock, server = RunLock(folder), ControlServer(folder, requests.append)
    lock.acquire()
    server.start()
    yield requests
    server.close()
    lock.release()


def test_what_is_asked_is_shown_once_the_owner_has_agreed_and_until_it_comes(attach, folder, agreed):
    log(folder, PhaseChanged(phase=Phase.EVALUATING))
    run = attach(folder)
    for request, asked in (
        ("pause_or_resume", PendingRequest.PAUSE),
        ("pause_or_resume", None),
        ("pause", PendingRequest.PAUSE),
        ("resume", None),
        ("pause_or_resume", PendingRequest.PAUSE),
    ):
        getattr(run, request)()
        wait_until(lambda asked=asked: run.snapshot().asked is asked)
    log(folder, PhaseChanged(phase=Phase.PAUSED))
    wait_until(lambda: run.snapshot().phase is Phase.PAUSED)
    assert run.snapshot().asked is None
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    wait_until(lambda: run.snapshot().phase is Phase.TRAINING)
    assert run.snapshot().asked is None, "it was for then"
    run.request(Request.STOP)
    wait_until(lambda: run.snapshot().asked is PendingRequest.STOP)
    assert len(agreed) == 6


def test_two_quick_presses_leave_nothing_to_wait_for(attach, folder, agreed):
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    run = attach(folder)
    with run._asking:  # the answers are long on their way
        run.request(Request.TOGGLE_PAUSE)
        run.request(Request.TOGGLE_PAUSE)
    wait_until(lambda: len(agreed) == 2)
    with run._asking:
        assert run.snapshot().asked is None


def test_an_answer_that_comes_after_the_pause_is_not_shown_when_the_run_goes_on(attach, folder, agreed):
    log(folder, PhaseChanged(phase=Phase.PAUSED))
    run = attach(folder)
    run._asked = PendingRequest.PAUSE
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    wait_until(lambda: run.snapshot().phase is Phase.TRAINING)
    assert run.snapshot().asked is None


@pytest.mark.parametrize("phase", [Phase.SAVING, Phase.PAUSED])
def test_to_let_a_paused_run_go_on_is_nothing_to_wait_for(attach, folder, agreed, phase):
    log(folder, PhaseChanged(phase=phase))
    run = attach(folder)
    run.request(Request.TOGGLE_PAUSE)
    wait_until(lambda: agreed == ["pause_or_resume"])
    log(folder, PhaseChanged(phase=Phase.TRAINING))
    wait_until(lambda: run.snapshot().phase is Phase.TRAINING)
    assert run.snapshot().asked is None
