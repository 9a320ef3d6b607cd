"""`cifar-tui bench dashboard`, for short trainings in a real pseudo-terminal."""

import contextlib
import dataclasses
import sys

import pytest

from cifar_tui.bench import dashboard, screen_cost
from cifar_tui.bench.dashboard import DashboardAmounts, measure_dashboard
from cifar_tui.bench.key_latency import KeyLatency, KeyPress, percentile
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import spread
from cifar_tui.bench.screen_cost import CostAmounts, ScreenCost
from cifar_tui.bench.terminal import Terminal
from cifar_tui.bench.turns import Contestant
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
    cost = CostAmounts(rounds=1, warm_up_seconds=0.2, settle_seconds=0.5, round_seconds=8.0, turn_seconds=0.3)
    # longer than the numbers ever stand still while it trains
    amounts = DashboardAmounts(cost=cost, other_cost=cost, presses=8, windows=2, window_seconds=3.0)
    # compiling the steps would take each training longer than everything that is measured
    return measure_dashboard(BenchOptions(device="cpu", preset="tutorial"), amounts, backend="eager")


def test_trainings_without_a_screen_and_with_one_are_compared(measured):
    cost = measured.cost
    assert cost.headless.n == cost.dashboard.n == cost.ratio.n == cost.stalled_ratio.n == 1
    assert cost.ratio.median == cost.dashboard.median / cost.headless.median
    assert 0 < cost.ratio.median < 2
    assert 0 < cost.stalled_ratio.median < 2
    assert (cost.device, cost.backend) == ("cpu", "eager steps")


def test_every_key_shows_its_effect(measured):
    presses, paused_ms = measured.keys.presses, measured.keys.paused_ms
    assert len(presses) == 8
    assert all(0 < press.milliseconds < 5000 for press in presses)
    assert len(paused_ms) == 1
    assert presses[6].name == "space holds the training"
    assert presses[6].milliseconds <= paused_ms[0]


def test_the_json_of_the_dashboard_has_everything(measured):
    values = measured.as_json()
    assert {
        "headless_steps_per_second", "dashboard_steps_per_second", "ratio", "stalled_ratio",
        "bytes_per_second", "bytes_per_second_paused", "bytes_per_second_done",
    } <= values.keys()  # fmt: skip
    assert {"p50", "p99", "n", "by_key"} <= values["key_latency_ms"].keys()
    assert values["paused_after_ms"]["n"] == 1
    assert values["bytes_per_second"] > 0
    assert values["limits"]["ratio"] == 0.97
    assert values["met"] is measured.met


QUICK = ScreenCost(
    preset="quick", headless=spread([10.0]), dashboard=spread([9.8]), ratio=spread([0.98]),
    stalled_ratio=None, device="cpu", backend="",
)  # fmt: skip


def pressed(milliseconds):
    return KeyLatency(
        presses=tuple(KeyPress(name="x", milliseconds=taken) for taken in milliseconds), paused_ms=(400.0,)
    )


def with_everything_met(measured, *, cost=None, also=None, **values):
    good = dataclasses.replace(measured.cost, ratio=spread([0.98]), stalled_ratio=spread([0.98]))
    return dataclasses.replace(
        measured,
        cost=dataclasses.replace(good, **(cost or {})),
        also=also,
        **{
            "keys": pressed([10.0] * 100),
            "training_bytes": spread([11_000.0]),
            "paused_bytes": spread([100.0]),
            "done_bytes": spread([0.0]),
        }
        | values,
    )


@pytest.mark.parametrize(
    "values",
    [
        {"cost": {"ratio": spread([0.96])}},
        {"cost": {"preset": "another"}},
        {"cost": {"device": "cuda:0 GPU"}},
        {"cost": {"stalled_ratio": spread([0.96])}},
        {"also": QUICK},
        {"keys": pressed([60.0])},
        {"keys": pressed([300.0 * (k > 96) for k in range(100)])},
        {"training_bytes": spread([13_000.0])},
        {"paused_bytes": spread([300.0])},
        {"done_bytes": spread([300.0])},
    ],
    ids=lambda values: " ".join([*values, *values.get("cost", ())]),
)
def test_each_limit_is_one(measured, values):
    assert with_everything_met(measured).met
    assert not with_everything_met(measured, **values).met


def test_another_preset_has_rows_and_values_of_its_own(measured):
    both = with_everything_met(measured, also=QUICK)
    assert [row.quantity for row in both.figures()[-3:]] == [
        "quick: without a screen",
        "quick: with the dashboard at 200×50",
        "quick: dashboard over headless",
    ]
    values = both.as_json()["presets"]["quick"]
    assert (values["headless_steps_per_second"], values["dashboard_steps_per_second"]) == (10.0, 9.8)
    assert values["ratio"] == 0.98
    assert values["limits"] == {"ratio": 0.99}
    assert values["spreads"]["ratio"]["n"] == 1


@pytest.mark.parametrize(
    ("preset", "expected"),
    [(None, [("tutorial", True, 0), ("quick", False, 1)]), ("quick", [("quick", True, 1)])],
)
def test_beside_the_tutorial_the_screen_of_quick_is_measured(monkeypatch, preset, expected):
    asked = []

    def measure_cost(config, places, amounts, *, unread):
        asked.append((config.preset, unread, config.chart_every))
        return QUICK

    monkeypatch.setattr(dashboard, "measure_cost", measure_cost)
    monkeypatch.setattr(dashboard, "_measure_keys", lambda *_: pressed([1.0]))
    monkeypatch.setattr(dashboard, "_measure_bytes", lambda *_: ([1.0], [1.0], [1.0]))
    values = measure_dashboard(BenchOptions(preset=preset)).as_json()
    assert asked == expected
    assert list(values["presets"]) == (["quick"] if preset is None else [])


def test_one_training_is_warm_and_halted_before_the_next_is_started(monkeypatch, tmp_path):
    """A start in which a training tries out its precision is not disturbed, and a turn has three steps."""
    happened = []

    class Run:
        device, backend, step_seconds = "cpu", "", 0.5

        def __init__(self, group):
            self.group = group
            happened.append(f"{group} starts")

        def warmup_fraction(self, seconds):
            happened.append(f"{self.group} is warm")

        def pass_time(self, seconds):
            return None

        def rate(self, spans):
            return 10.0

    class Screen:
        bytes_read = 0

        def read_for(self, seconds):
            self.bytes_read += 1

    def take_turns(contestants, *, turns, seconds):
        lengths.append((turns, seconds))
        contestants[1].pass_time(seconds)
        return [[(0.0, 1.0)]] * len(contestants)

    lengths = []
    monkeypatch.setattr(screen_cost, "headless_run", lambda *_: contextlib.nullcontext(Run("headless")))
    monkeypatch.setattr(
        screen_cost, "dashboard_run", lambda *_, **__: contextlib.nullcontext((Run("dashboard"), Screen()))
    )
    monkeypatch.setattr(Contestant, "halt", lambda self: happened.append(f"{self.group} is halted"))
    monkeypatch.setattr(screen_cost, "take_turns", take_turns)
    config = BenchOptions().config("quick")
    amounts = CostAmounts(rounds=1, turn_seconds=1.0, round_seconds=30.0)
    assert screen_cost.measure_cost(config, tmp_path, amounts, unread=False).ratio.median == 1
    whats = ("starts", "is warm", "is halted")
    assert happened == [f"{who} {what}" for who in ("headless", "dashboard") for what in whats]
    assert lengths == [(10, 1.5)]


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
