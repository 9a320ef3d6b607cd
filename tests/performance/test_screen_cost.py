"""What the screen costs a training: with the dashboard against without, in turn, in fresh processes."""

import contextlib
from pathlib import Path
from tempfile import mkdtemp

from cifar_tui.bench.report import Measurement
from cifar_tui.bench.training import headless_training
from cifar_tui.bench.turns import measure_in_turns
from tests.performance.terminal import HELP, dashboard_training

TUTORIAL_RATIO = 0.97
QUICK_RATIO = 0.99
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


def test_tutorial_keeps_its_speed(check, steady_config, tmp_path):
    rounds = [
        measure_round(steady_config("tutorial"), tmp_path, unread=True, turns=12, seconds=0.5)
        for _ in range(3)
    ]
    headless, seen, unread = zip(*rounds, strict=True)
    check(
        Measurement(name="tutorial without a screen", values=headless, unit="steps/s", digits=0),
        ratio("tutorial with the dashboard, over without", seen, headless, TUTORIAL_RATIO),
        ratio("tutorial with a terminal that nobody reads, over without", unread, headless, TUTORIAL_RATIO),
    )


def test_quick_keeps_its_speed(check, steady_config, tmp_path):
    """In more rounds: two processes that do the same differ by 1 % for as long as they live."""
    config = steady_config("quick", chart_every=1)
    rounds = [measure_round(config, tmp_path, unread=False, turns=8, seconds=0.6) for _ in range(6)]
    headless, seen = zip(*rounds, strict=True)
    check(
        Measurement(name="quick without a screen", values=headless, unit="steps/s", digits=1),
        ratio("quick with the dashboard, over without", seen, headless, QUICK_RATIO),
    )


def step_seconds(training):
    before, last = training.points[-2:]
    return (last.train_seconds - before.train_seconds) / (last.step - before.step)


def ratio(name, speeds, base, limit):
    values = tuple(speed / other for speed, other in zip(speeds, base, strict=True))
    return Measurement(name=name, values=values, digits=3, at_least=limit)
