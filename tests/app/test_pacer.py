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


@pytest.fixture
def make_pacer(clock):
    def make(*, savings=0.0):
        return Pacer(share=0.01, savings=savings, fastest=0.1, slowest=5)

    return make


def draw(pacer, clock, *, seconds):
    pacer.begin()
    clock.computed += seconds
    pacer.end()


def wait_until_due(pacer, clock, snapshot=TRAINING, look=0.001):
    began = clock.now
    while not pacer.due(snapshot):
        clock.now += look
    return clock.now - began


def test_the_first_drawing_is_due_at_once(make_pacer):
    assert make_pacer().due(TRAINING)


@pytest.mark.parametrize(("cost", "wait"), [(0.0001, 0.1), (0.01, 1.0), (0.03, 3.0), (9.0, 5.0)])
def test_the_dearer_a_drawing_the_longer_until_the_next(make_pacer, clock, cost, wait):
    pacer = make_pacer()
    for _ in range(2):
        draw(pacer, clock, seconds=cost)
        assert wait_until_due(pacer, clock) == pytest.approx(wait, abs=0.002)


def test_what_begins_is_drawn_often_until_its_savings_are_spent(make_pacer, clock):
    pacer = make_pacer(savings=0.1)
    waits = []
    for _ in range(6):
        draw(pacer, clock, seconds=0.03)
        waits.append(wait_until_due(pacer, clock))
    assert waits == pytest.approx([0.1, 0.1, 0.1, 1.7, 3.0, 3.0], abs=0.1)
    for _ in range(60):
        clock.now += 0.5
        pacer.due(TRAINING)
    draw(pacer, clock, seconds=0.03)
    assert wait_until_due(pacer, clock) == pytest.approx(0.1, abs=0.002), "it has saved again"


def test_the_older_a_training_the_longer_until_the_next(clock):
    pacer = Pacer(share=0.01, savings=9.0, fastest=1.0, slowest=5.0, growth=0.5)
    waits = []
    for _ in range(8):
        draw(pacer, clock, seconds=0.01)
        waits.append(wait_until_due(pacer, clock))
    # from an age of 1, 2, 4 and 8 on, each a half of the age that it then has
    assert waits == pytest.approx([1, 1, 2, 4, 5, 5, 5, 5], abs=0.02)
    draw(pacer, clock, seconds=0.01)
    assert wait_until_due(pacer, clock, PAUSED) == pytest.approx(1.0, abs=0.002), "it has come to a hold"


def test_nothing_waits_for_the_screen_while_no_step_is_made(make_pacer, clock):
    pacer = make_pacer()
    draw(pacer, clock, seconds=9.0)
    assert wait_until_due(pacer, clock, PAUSED) == pytest.approx(0.1, abs=0.002)


@pytest.mark.parametrize(("cost", "wait", "with_stops"), [(0.03, 3.0, 3.0 / 2), (9.0, 5.0, 5.0 / 3)])
def test_the_time_that_the_process_was_stopped_for_is_none(make_pacer, clock, cost, wait, with_stops):
    pacer = make_pacer()
    draw(pacer, clock, seconds=cost)
    assert wait_until_due(pacer, clock, look=0.1) == pytest.approx(wait, abs=0.11)
    draw(pacer, clock, seconds=cost)
    waited = 0.0
    while not pacer.due(TRAINING):
        clock.now += 0.1
        pacer.due(TRAINING)
        clock.now += 60.0
        waited += 0.1
    assert waited == pytest.approx(with_stops, abs=0.11), "but 0.1 that are earned, or 0.2 that pass"


def test_what_counts_is_the_time_that_the_screen_computes():
    pacer = Pacer(share=0.001, savings=0.0, fastest=0.0, slowest=60)
    pacer.begin()
    began = time.thread_time()
    while time.thread_time() - began < 0.05:
        pass
    pacer.end()
    assert not pacer.due(TRAINING)
