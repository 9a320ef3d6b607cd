"""`AttachedRun`: what it learns from the owner of the run between two lines of the event log."""

import json
import time

import pytest

from cifar_tui.engine.events import (
    EvaluationProgress,
    LoadingProgress,
    Message,
    Phase,
    PhaseChanged,
    Resumed,
    StepsDone,
)
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.progress import progress_of
from cifar_tui.runs.state import RunProgress
from tests.runs.control.helpers import log, make_control_server, texts, wait_until
from tests.runs.made_events import STARTED, point
from tests.runs.writing import Writing


@pytest.fixture
def owner(folder, monkeypatch):
    """A process that owns the run; its event log never writes a point by itself."""
    monkeypatch.setattr("cifar_tui.runs.disk.event_log._FLUSH_SECONDS", 3600.0)
    owner = Writing(folder)
    yield owner
    owner.writer.close()


def test_figures_and_curves_do_not_wait_for_the_log(attach, folder, owner):
    owner.emit(STARTED, PhaseChanged(phase=Phase.TRAINING))
    run = attach(folder)
    wait_until(lambda: run.snapshot().started is not None)
    for step in (50, 100):
        before = run.snapshot()
        owner.emit(point(step))
        wait_until(lambda step=step: run.snapshot().step == step, seconds=5)
        assert run.snapshot().version > before.version
        assert run.snapshot().curves_version > before.curves_version
        assert run.snapshot().loss == owner.state.snapshot().loss
        assert run.curves().loss[-1] == (step, 2.0)
    owner.emit(StepsDone(step=120, epoch=2, batch=20, train_seconds=1.2))
    wait_until(lambda: run.snapshot().step == 120, seconds=5)
    assert run.curves().loss[-1] == (100, 2.0), "it was no chart point"
    assert not any(hasattr(event, "batch") for event in read_events(folder)), "nothing more is written"


def test_evaluating_and_loading_are_seen_as_they_proceed(attach, folder, owner):
    owner.emit(STARTED, PhaseChanged(phase=Phase.EVALUATING))
    run = attach(folder)
    for done in (500, 1000):
        evaluating = EvaluationProgress(done=done, total=1000, correct=1, batch=done // 500, batches=2)
        owner.emit(evaluating)
        wait_until(lambda evaluating=evaluating: run.snapshot().evaluating == evaluating, seconds=5)
    loading = LoadingProgress(stage="decoding", done=5, total=None, unit="files")
    owner.emit(PhaseChanged(phase=Phase.LOADING), loading)
    wait_until(lambda: run.snapshot().loading == loading, seconds=5)


def test_a_paused_run_is_not_drawn_again(attach, folder, owner):
    owner.emit(STARTED, PhaseChanged(phase=Phase.PAUSED))
    run = attach(folder)
    owner.emit(Message(text="a"))
    wait_until(lambda: texts(run) == ["a"] and run._progress is not None)
    version = run.snapshot().version
    for _ in range(2):  # the reply to the first has arrived when the second is due
        due = run._progress_due
        wait_until(lambda due=due: run._progress_due > due)
    assert run.snapshot().version == version


def test_steps_that_are_trained_again_are_not_shown_from_before(attach, folder, owner, monkeypatch):
    owner.emit(STARTED, PhaseChanged(phase=Phase.TRAINING), point(200))
    run = attach(folder)
    wait_until(lambda: run.snapshot().step == 200)
    newest = progress_of(owner.state.snapshot())
    monkeypatch.setattr(owner.writer._server, "_progress", lambda: newest)
    monkeypatch.setattr("cifar_tui.runs.attached._PROGRESS_SECONDS", 3600.0)
    due = run._progress_due
    wait_until(lambda: run._progress_due > due)  # this was the last reply, and it came before the resume
    owner.emit(Resumed(step=100, epoch=1, batch=100, train_seconds=1.0))
    wait_until(lambda: run.snapshot().step == 100)


def test_the_figures_of_an_owner_that_is_gone_are_those_of_the_log(attach, folder, owner):
    owner.emit(STARTED, PhaseChanged(phase=Phase.TRAINING))
    run = attach(folder)
    owner.emit(point(150))
    wait_until(lambda: run.snapshot().step == 150)
    owner.writer.close()
    wait_until(lambda: not run.live and run.snapshot().step == 150)
    assert run._progress is None
    assert run.curves() == owner.state.curves()


@pytest.mark.parametrize("reply", ["silence", RunProgress(step="many"), "a defect"])
def test_an_owner_that_does_not_answer_keeps_nobody_from_reading_the_log(attach, folder, reply):
    def progress():
        if reply == "silence":
            time.sleep(3)
        return reply

    lock = RunLock(folder)
    lock.acquire()
    server = make_control_server(folder, lambda _: None, progress)
    server.start()
    log(folder, STARTED, PhaseChanged(phase=Phase.TRAINING))
    run = attach(folder)
    wait_until(lambda: run._progress_due > 0)
    for text in "abc":
        log(folder, Message(text=text))
        wait_until(lambda text=text: text in texts(run), seconds=2)
    assert texts(run, "alert") == []
    assert run.snapshot().step == 0
    server.close()
    lock.release()


def test_what_is_asked_is_strict_json(folder, owner):
    owner.emit(STARTED, point(50, loss=float("inf")))
    reply = owner.writer._server.reply_to(b'{"do": "progress"}')
    assert json.loads(json.dumps(reply, allow_nan=False))["progress"]["loss"] is None
