"""How often a part of the screen is drawn while a training is under way."""

import time

import pytest

from cifar_tui.app import pacer
from cifar_tui.app.pacer import Pacer
from cifar_tui.engine.events import Phase
from cifar_tui.runs.state import RunSnapshot

TRAINING, PAUSED = RunSnapshot(phase=Phase.TRAINING), RunSnapshot(phase=Phase.PAUSED)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now, self.computed = 1000.0, 5.0

    def monotonic(self):
        return self.now

    def thread_time(self):
        return self.computed


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pacer, "time", clock)
    return clock


def draw(pacer, clock, *, seconds):
    pacer.begin()
    clock.computed += seconds
    pacer.end()


def wait_until_due(pacer, clock, snapshot):
    began = clock.now
    while not pacer.due(snapshot):
        clock.now += 0.001
    return clock.now - began


def test_the_first_drawing_is_due_at_once(clock):
    assert Pacer(share=0.01, fastest=0.1, slowest=5).due(TRAINING)


@pytest.mark.parametrize(("cost", "wait"), [(0.0001, 0.1), (0.01, 1.0), (0.03, 3.0), (9.0, 5.0)])
def test_the_dearer_a_drawing_the_longer_until_the_next(clock, cost, wait):
    pacer = Pacer(share=0.01, fastest=0.1, slowest=5)
    draw(pacer, clock, seconds=cost)
    assert wait_until_due(pacer, clock, TRAINING) == pytest.approx(wait, abs=0.002)


def test_nothing_waits_for_the_screen_while_no_step_is_made(clock):
    pacer = Pacer(share=0.01, fastest=0.1, slowest=5)
    draw(pacer, clock, seconds=9.0)
    assert wait_until_due(pacer, clock, PAUSED) == pytest.approx(0.1, abs=0.002)


def test_what_counts_is_the_time_that_the_screen_computes():
    pacer = Pacer(share=0.001, fastest=0.0, slowest=60)
    pacer.begin()
    began = time.thread_time()
    while time.thread_time() - began < 0.05:
        pass
    pacer.end()
    assert not pacer.due(TRAINING)
