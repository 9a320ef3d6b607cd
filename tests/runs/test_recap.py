"""What is told of the time while nobody looked."""

import math
import os
import time

import pytest

from cifar_tui.engine.events import Alert, Phase, PhaseChanged, Resumed, RunEnded
from cifar_tui.runs import recap as recap_module
from cifar_tui.runs.recap import Recap, last_seen, mark_seen
from cifar_tui.runs.state import RunState
from tests.runs.made_events import STARTED, at, epoch_finished, evaluated, point, saved

NOW = 10_000.0


@pytest.fixture
def lines(monkeypatch):
    """What is told of events at `NOW` to a user who last viewed the run at `since`."""
    monkeypatch.setattr(recap_module.time, "time", lambda: NOW)

    def lines(*events, since=None):
        recap, state = Recap(since=since), RunState()
        for event in events:
            recap.note(event, state)
            state.apply(event)
        return recap.lines(state.snapshot())

    return lines


def test_when_somebody_looked_is_remembered(tmp_path):
    assert last_seen(tmp_path) is None
    mark_seen(tmp_path)
    assert last_seen(tmp_path) == pytest.approx(time.time(), abs=60)
    os.utime(tmp_path / "seen", (100, 100))
    assert last_seen(tmp_path) == 100
    mark_seen(tmp_path)
    assert last_seen(tmp_path) > 100


def test_where_nothing_is_new_nothing_is_said(lines):
    assert lines() == []
    assert lines(since=50.0) == []
    assert lines(at(10, STARTED), at(20, point(50)), since=20.0) == []


def test_who_never_looked_is_told_everything_since_it_began(lines):
    assert lines(
        at(1000, STARTED),
        at(1000, PhaseChanged(phase=Phase.TRAINING)),
        at(1030, point(50, loss=2.5)),
        at(1060, point(100, loss=1.25)),
        at(1061, epoch_finished(1)),
        at(1062, evaluated(100, 42)),
        at(4725, saved(100)),
    ) == [
        "Started 2 h ago.",
        "Trained 100 steps, 1 epoch finished · loss 1.250",
        "Test accuracy 42.00 % at step 100",
        "Saved 1 checkpoint, the latest at step 100",
        "Status: training",
    ]


def test_who_looked_is_told_what_is_new(lines):
    assert lines(
        at(0, STARTED),
        at(0, PhaseChanged(phase=Phase.TRAINING)),
        at(10, point(1000, loss=2.5)),
        at(11, epoch_finished(1)),
        at(12, evaluated(1000, 42)),
        at(13, saved(1000)),
        at(30, point(3500, loss=1.25)),
        at(31, epoch_finished(2)),
        at(32, saved(3500)),
        at(33, epoch_finished(3)),
        at(34, saved(3600)),
        since=20.0,
    ) == [
        "Last viewed 2 h ago.",
        "Trained 2,500 steps, 2 epochs finished · loss 2.500 → 1.250",
        "Saved 2 checkpoints, the latest at step 3,600",
        "Status: training",
    ]


def test_the_end_is_told_with_its_reason(lines):
    done = lines(
        at(1, STARTED),
        at(30, PhaseChanged(phase=Phase.DONE, message="stopped and saved at step 7")),
        at(31, RunEnded(exit_code=0)),
        since=20.0,
    )
    assert done == ["Last viewed 2 h ago.", "Status: stopped and saved at step 7"]
    failed = lines(
        at(30, PhaseChanged(phase=Phase.FAILED, message="no room")),
        at(31, RunEnded(exit_code=4, error="no room")),
        since=20.0,
    )
    assert failed[-1] == "Status: failed (no room)"


def test_resumes_and_the_last_few_alerts_are_told(lines):
    told = lines(
        at(1, STARTED),
        at(10, point(500)),
        *(at(30 + k, Alert(text=f"alert {k}")) for k in range(5)),
        at(40, STARTED),
        at(41, Resumed(step=400, epoch=1, batch=400, train_seconds=1.0)),
        at(50, point(700)),
        at(51, PhaseChanged(phase=Phase.TRAINING)),
        since=20.0,
    )
    assert told == [
        "Last viewed 2 h ago.",
        "Trained 200 steps · loss 2.000 → 2.000",
        "Resumed from step 400",
        "! alert 2",
        "! alert 3",
        "! alert 4",
        "Status: training",
    ]


def test_an_epoch_that_was_trained_again_ended_once(lines):
    told = lines(
        at(1, STARTED),
        at(30, point(100)),
        at(31, epoch_finished(1)),
        at(32, point(200, epoch=2)),
        at(33, epoch_finished(2)),
        at(40, STARTED),
        at(41, Resumed(step=150, epoch=2, batch=50, train_seconds=1.0)),
        at(50, point(200, epoch=2)),
        at(51, epoch_finished(2)),
        since=20.0,
    )
    assert told[1].startswith("Trained 200 steps, 2 epochs finished")


def test_a_loss_that_is_not_finite_is_told_as_it_is(lines):
    assert "loss nan" in lines(at(1, STARTED), at(2, point(50, loss=math.nan)))[1]
