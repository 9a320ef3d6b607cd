"""What the screen costs a training: processor time of the thread that draws, and the speed that is left."""

import contextlib
import os
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

import pytest

from cifar_tui.bench.report import Measurement
from cifar_tui.bench.training import headless_training
from cifar_tui.bench.turns import measure_in_turns
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.run_lock import owner_of
from tests.performance.terminal import HELP, dashboard_training

DRAWING_SHARES = {(120, 40): 0.03, (200, 50): 0.04}
"""Share of a core that drawing may take, by the size of the terminal."""
SIZE = (200, 50)
STEPS_PER_TURN = 3
WARM_UP_SECONDS, SETTLE_SECONDS = 1.0, 2.0


def measure_round(config, folder, *, unread, turns, seconds):
    """Steps per second without a screen, with the dashboard and, if `unread`, with one that nobody reads."""
    with contextlib.ExitStack() as ended:

        def start(context, settle_seconds):
            training = ended.enter_context(context)
            training.warm_up(WARM_UP_SECONDS)
            training.resume()
            training.wait(settle_seconds)
            training.suspend()  # the next one starts undisturbed
            return training

        trainings = [start(headless_training(config, Path(mkdtemp(dir=folder))), 0.1)]
        for _ in range(1 + unread):
            place = Path(mkdtemp(dir=folder))
            trainings.append(start(dashboard_training(config, place, SIZE), SETTLE_SECONDS))
        terminal = trainings[1].terminal
        before = terminal.bytes_read
        if unread:
            trainings[2].reads = False
        # on a slow machine a step takes seconds
        seconds = max(seconds, *(STEPS_PER_TURN * step_seconds(training) for training in trainings))
        speeds = measure_in_turns(trainings, turns=turns, seconds=seconds)
        assert terminal.bytes_read > before, "a dashboard that draws nothing costs nothing"
        if unread:
            trainings[2].terminal.press("?")
            trainings[2].terminal.until(HELP)  # it comes back
    return speeds


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("preset", ["tutorial", "quick"])
@pytest.mark.parametrize("size", DRAWING_SHARES, ids=str)
def test_drawing_takes_little_of_a_core(check, slowness, steady_config, tmp_path, preset, size):
    with dashboard_training(steady_config(preset, chart_every=0), tmp_path, size) as training:
        training.warm_up(WARM_UP_SECONDS)
        training.resume()
        training.wait(SETTLE_SECONDS)
        (log,) = tmp_path.rglob(EVENTS_FILE)
        process = owner_of(log.parent).pid
        shares = tuple(drawing_share(process, training) for _ in range(3))
    name = f"share of a core that draws {preset} at {size[0]}×{size[1]}"
    check(Measurement(name=name, values=shares, digits=3, at_most=slowness * DRAWING_SHARES[size]))


def drawing_share(process, training):
    """The processor time of the main thread, which draws, over 8 seconds."""

    def seconds():
        fields = Path(f"/proc/{process}/task/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, start, drawn = seconds(), time.monotonic(), training.terminal.bytes_read
    training.wait(8.0)
    assert training.terminal.bytes_read > drawn, "a dashboard that draws nothing costs nothing"
    return (seconds() - before) / (time.monotonic() - start)


def test_tutorial_keeps_its_speed(check, steady_config, tmp_path):
    rounds = [
        measure_round(steady_config("tutorial"), tmp_path, unread=True, turns=12, seconds=0.5)
        for _ in range(3)
    ]
    headless, seen, unread = zip(*rounds, strict=True)
    check(
        Measurement(name="tutorial without a screen", values=headless, unit="steps/s", digits=0),
        ratio("tutorial with the dashboard, over without", seen, headless),
        ratio("tutorial with a terminal that nobody reads, over without", unread, headless),
    )


def test_quick_keeps_its_speed(check, steady_config, tmp_path):
    """In more rounds: two processes that do the same differ by 1 % for as long as they live."""
    config = steady_config("quick", chart_every=1)
    rounds = [measure_round(config, tmp_path, unread=False, turns=8, seconds=0.6) for _ in range(6)]
    headless, seen = zip(*rounds, strict=True)
    check(
        Measurement(name="quick without a screen", values=headless, unit="steps/s", digits=1),
        ratio("quick with the dashboard, over without", seen, headless),
    )


def step_seconds(training):
    before, last = training.points[-2:]
    return (last.train_seconds - before.train_seconds) / (last.step - before.step)


def ratio(name, speeds, base):
    """Without a limit: two processes that do the same differ by more than drawing costs."""
    values = tuple(speed / other for speed, other in zip(speeds, base, strict=True))
    return Measurement(name=name, values=values, digits=3)
