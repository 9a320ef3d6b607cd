"""How soon a key shows its effect while training, and how much is sent to the terminal."""

import random
import statistics
from itertools import cycle, islice

from cifar_tui.bench.report import Measurement
from tests.performance.terminal import HELP, dashboard_training

KEY_P50_MS = 50.0
KEY_P99_MS = 150.0
BYTES_PER_SECOND = 12_000.0
STILL_BYTES_PER_SECOND = 200.0

PAUSES = r"[‖▼] ?\w+"
KEYS = (
    ("?", HELP),
    ("?", r"\b1 [A-Z]\w+"),  # the help screen closes: the first pane is drawn again
    ("l", r"Loss\W+log"),
    ("l", r"Loss(?!\W+log)"),
    ("]", r"\bbatch 2 of|\b2/\d"),
    ("[", r"\bbatch 1 of|\b1/\d"),
    (" ", PAUSES),
    (" ", r"▶ ?\w+|◎ ?\w+"),
)
"""Keys, each with text that only its effect draws; after all of them the dashboard is as before."""


def test_keys_answer_while_training(check, slowness, steady_config, tmp_path):
    generator = random.Random(0)
    latencies, until_paused = [], []
    with dashboard_training(steady_config("tutorial", eval_every=1), tmp_path, (200, 50)) as training:
        training.warm_up(1.0)
        training.resume()
        training.wait(2.0)
        training.read()
        first_step = training.points[-1].step
        for key, shows in islice(cycle(KEYS), 80):
            training.wait(generator.uniform(0.05, 0.2))  # so that no timer always fires at the same time
            training.terminal.press(key)
            latencies.append(1000 * training.terminal.until(shows))
            if shows == PAUSES:
                rest = training.terminal.until("‖ paused")
                until_paused.append(latencies[-1] + 1000 * rest)
        training.read()
        assert training.points[-1].step > first_step
    name, unit = "key to its effect while training at 200×50", "ms"
    p99 = statistics.quantiles(latencies, n=100, method="inclusive")[-1]
    check(
        Measurement(name=name, values=tuple(latencies), unit=unit, digits=0, at_most=slowness * KEY_P50_MS),
        Measurement(
            name="the same, 99th percentile",
            values=(p99,),
            unit=unit,
            digits=0,
            at_most=slowness * KEY_P99_MS,
        ),
        Measurement(name="space to paused and saved", values=tuple(until_paused), unit=unit, digits=0),
    )


def test_little_is_sent_to_the_terminal(check, steady_config, tmp_path):
    with dashboard_training(steady_config("tutorial"), tmp_path, (120, 40)) as training:
        training.warm_up(1.0)
        training.resume()
        training.wait(2.0)
        terminal = training.terminal

        def bytes_per_second(state, seconds, limit):
            values = tuple(terminal.read_for(seconds) / seconds for _ in range(3))
            name = f"to the terminal {state} at 120×40"
            return Measurement(name=name, values=values, unit="B/s", digits=0, at_most=limit)

        rows = [bytes_per_second("while training", 4.0, BYTES_PER_SECOND)]
        assert rows[0].median > 0
        for key, state in ((" ", "paused"), ("s", "stopped")):
            terminal.press(key)
            terminal.until(state)
            terminal.read_for(2.0)
            rows.append(bytes_per_second(f"when {state}", 1.5, STILL_BYTES_PER_SECOND))
    check(*rows)
