"""`cifar-tui bench dashboard`, for short trainings in a real pseudo-terminal."""

import dataclasses
import sys

import pytest

from cifar_tui.bench.dashboard import DashboardAmounts, measure_dashboard
from cifar_tui.bench.key_latency import KeyPress, percentile
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import spread
from cifar_tui.bench.terminal import Terminal
from cifar_tui.engine.errors import RunFailedError

ECHOES_TWICE = """
import sys, tty
tty.setraw(0)
print("\x1b[1mre\x1b[32mady", flush=True)
while (key := sys.stdin.read(1)) != "q":
    print(f"\x1b[2;2H{key}\x1b[1m{key}\x1b[0m", flush=True)
"""


@pytest.fixture(scope="module")
def measured():
    amounts = DashboardAmounts(
        rounds=1, warm_up_seconds=0.2, turns=2, turn_seconds=0.3, presses=6, windows=2,
        window_seconds=0.5, settle_seconds=0.5,
    )  # fmt: skip
    return measure_dashboard(BenchOptions(device="cpu"), amounts)


def test_trainings_without_a_screen_and_with_one_are_compared(measured):
    assert measured.headless.n == measured.dashboard.n == measured.ratio.n == measured.stalled_ratio.n == 1
    assert measured.ratio.median == measured.dashboard.median / measured.headless.median
    assert 0 < measured.ratio.median < 2
    assert 0 < measured.stalled_ratio.median < 2


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
            "ratio": spread([0.98]),
            "presses": tuple(KeyPress(name="x", milliseconds=10.0) for _ in range(100)),
            "training_bytes": spread([11_000.0]),
            "paused_bytes": spread([100.0]),
            "done_bytes": spread([0.0]),
            "stalled_ratio": spread([0.98]),
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
        {"stalled_ratio": spread([0.96])},
    ],
    ids=lambda values: next(iter(values)),
)
def test_each_limit_is_one(measured, values):
    assert with_everything_met(measured).met
    assert not with_everything_met(measured, **values).met


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
