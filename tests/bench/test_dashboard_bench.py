"""`cifar-tui bench dashboard`, for short trainings in a real pseudo-terminal."""

import dataclasses
import sys

import pytest

from cifar_tui.bench.dashboard import DashboardAmounts, measure_dashboard
from cifar_tui.bench.key_latency import KeyPress, percentile
from cifar_tui.bench.logged_run import step_after, steps_per_second, steps_per_second_between
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import spread
from cifar_tui.bench.terminal import Terminal
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import LossPoint

ECHOES_TWICE = """
import sys, tty
tty.setraw(0)
print("\x1b[1mre\x1b[32mady", flush=True)
while (key := sys.stdin.read(1)) != "q":
    print(f"\x1b[2;2H{key}\x1b[1m{key}\x1b[0m", flush=True)
"""


def point(step, train_seconds, time):
    return LossPoint(
        time=time, step=step, steps=10, epoch=1, batch=step, loss=1.0, loss_min=1.0, loss_max=1.0,
        accuracy=0.5, learning_rate=0.001, images=40, train_seconds=train_seconds,
    )  # fmt: skip


# 10 steps a second, then 20 after a pause of which the clock of training knows nothing
POINTS = [point(10, 1.0, 101.0), point(20, 2.0, 102.0), point(30, 2.5, 152.5), point(40, 3.0, 153.0)]


@pytest.fixture(scope="module")
def measured():
    amounts = DashboardAmounts(
        pairs=1, warm_up_steps=100, seconds=0.5, presses=6, stalled_seconds=1.0, windows=2,
        window_seconds=0.5, settle_seconds=0.5,
    )  # fmt: skip
    return measure_dashboard(BenchOptions(device="cpu"), amounts)


def test_the_same_steps_are_compared(measured):
    first, last = measured.steps
    assert first == 100 < last
    assert measured.headless.n == measured.dashboard.n == measured.ratio.n == 1
    assert 0 < measured.ratio.median < 2
    assert measured.stalled_ratio > 0


def test_every_key_shows_its_effect(measured):
    assert len(measured.presses) == 6
    assert all(0 < press.milliseconds < 5000 for press in measured.presses)


def test_the_json_of_the_dashboard_has_everything(measured):
    values = measured.as_json()
    assert {
        "headless_steps_per_second", "dashboard_steps_per_second", "ratio", "stalled_ratio",
        "bytes_per_second", "bytes_per_second_paused", "bytes_per_second_done",
    } <= values.keys()  # fmt: skip
    assert {"p50", "p99", "n", "by_key"} <= values["key_latency_ms"].keys()
    assert values["bytes_per_second"] > 0
    assert values["limits"]["ratio"] == 0.97
    assert values["met"] is measured.met


def with_everything_met(measured, **values):
    return dataclasses.replace(
        measured,
        **{
            "headless": spread([100.0]),
            "ratio": spread([0.98]),
            "presses": tuple(KeyPress(name="x", milliseconds=10.0) for _ in range(100)),
            "training_bytes": spread([11_000.0]),
            "paused_bytes": spread([100.0]),
            "done_bytes": spread([0.0]),
            "stalled": 100.0,
        }
        | values,
    )


@pytest.mark.parametrize(
    "values",
    [
        {"ratio": spread([0.96])},
        {"preset": "another"},
        {"presses": (KeyPress(name="x", milliseconds=60.0),)},
        {"presses": tuple(KeyPress(name="x", milliseconds=300.0 * (k > 96)) for k in range(100))},
        {"training_bytes": spread([13_000.0])},
        {"paused_bytes": spread([300.0])},
        {"done_bytes": spread([300.0])},
        {"stalled": 90.0},
    ],
    ids=lambda values: next(iter(values)),
)
def test_each_limit_is_one(measured, values):
    assert with_everything_met(measured).met
    assert not with_everything_met(measured, **values).met


def test_rates_are_of_the_time_spent_training():
    assert steps_per_second(POINTS, 10, 20) == 10
    assert steps_per_second(POINTS, 11, 39) == 20
    assert steps_per_second_between(POINTS, 152, 154) == 20
    with pytest.raises(RunFailedError, match="too little"):
        steps_per_second(POINTS, 11, 29)
    with pytest.raises(RunFailedError, match="do not go on"):
        steps_per_second(POINTS + POINTS, 10, 40)


def test_a_window_is_found_by_its_seconds():
    assert step_after(POINTS, 10, 1.5) == 30
    assert step_after(POINTS, 10, 9.0) == float("inf")


def test_percentiles():
    assert percentile([7.0], 99) == 7
    assert percentile([float(k) for k in range(101)], 50) == 50
    assert percentile([float(k) for k in range(101)], 99) == 99


def test_text_is_found_among_colours_and_positions():
    with Terminal([sys.executable, "-c", ECHOES_TWICE], columns=80, rows=24) as terminal:
        assert terminal.until("ready", 30) is not None
        terminal.press("x")
        assert terminal.until("ready", 0.2) is None, "that was before the key"
        terminal.press("y")
        assert 0 < terminal.until("yy", 30) < 30
        assert terminal.bytes_read > 30
        terminal.press("q")
        with pytest.raises(RunFailedError, match="ended"):
            terminal.read_for(30)
