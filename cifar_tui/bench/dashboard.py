"""`cifar-tui bench dashboard`: what the screen costs a training, and how soon it answers."""

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tui.bench.key_latency import KeyPress, measure_key_latency, percentile
from cifar_tui.bench.logged_run import dashboard_run, headless_run
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.bench.turns import Contestant, take_turns
from cifar_tui.engine.config import TrainConfig
from cifar_tui.engine.errors import RunFailedError

TUTORIAL_LIMIT_RATIO = 0.97
LIMIT_RATIO = 0.99
KEY_LIMIT_P50_MS = 50.0
KEY_LIMIT_P99_MS = 150.0
BYTES_LIMIT = 12_000.0
STILL_BYTES_LIMIT = 200.0

LARGE, MIDDLE = (200, 50), (120, 40)
"""Columns and rows of the terminal: for what the screen costs and how soon it answers, and for the bytes."""

_ENDLESS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DashboardAmounts:
    """How much is measured.

    Attributes:
        rounds: how often trainings without a screen, with one, and with one that nobody reads are compared.
        warm_up_seconds: of training, that do not count.
        turns: how often each of them goes on in a round.
        turn_seconds: and how long each time.
        presses: how many keys are pressed.
        windows: how often bytes are counted in each state.
        window_seconds: how long each time while training; half of it when the training stands.
        settle_seconds: how long the dashboard may draw after a change before it is measured.
    """

    rounds: int = 3
    warm_up_seconds: float = 1.0
    turns: int = 12
    turn_seconds: float = 1.5
    presses: int = 120
    windows: int = 3
    window_seconds: float = 5.0
    settle_seconds: float = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DashboardBench:
    """What was measured of the dashboard over a training of `preset`.

    Attributes:
        preset: its name.
        headless: steps a second without a screen, in each round.
        dashboard: the same with the dashboard.
        ratio: dashboard over headless.
        stalled_ratio: a dashboard whose terminal nobody reads, over headless.
        presses: how soon every key showed its effect while training.
        training_bytes: bytes a second to the terminal while training.
        paused_bytes: while paused.
        done_bytes: when the training is over.
    """

    preset: str
    headless: Spread
    dashboard: Spread
    ratio: Spread
    stalled_ratio: Spread
    presses: tuple[KeyPress, ...]
    training_bytes: Spread
    paused_bytes: Spread
    done_bytes: Spread

    @property
    def title(self) -> str:
        """What stands above the table."""
        return f"What the dashboard costs a training, preset {self.preset}"

    @property
    def limit_ratio(self) -> float:
        """What the ratio must reach."""
        return TUTORIAL_LIMIT_RATIO if self.preset == "tutorial" else LIMIT_RATIO

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return all(row.met for row in self.figures())

    @property
    def latencies_ms(self) -> list[float]:
        """Of every key, in milliseconds."""
        return [press.milliseconds for press in self.presses]

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        large, middle = (f"{columns}×{rows}" for columns, rows in (LARGE, MIDDLE))
        rows = [
            Figure(quantity="without a screen", spread=self.headless, unit="steps/s", digits=0),
            Figure(
                quantity=f"with the dashboard at {large}", spread=self.dashboard, unit="steps/s", digits=0
            ),
            Figure(
                quantity="dashboard over headless", spread=self.ratio, digits=3, at_least=self.limit_ratio
            ),
            Figure(
                quantity="with a terminal that nobody reads, over headless",
                spread=self.stalled_ratio,
                digits=3,
                at_least=self.limit_ratio,
            ),
            Figure(
                quantity=f"key to its effect while training at {large}",
                spread=spread(self.latencies_ms),
                unit="ms",
                digits=0,
                at_most=KEY_LIMIT_P50_MS,
            ),
            Figure(
                quantity="the same, 99th percentile",
                spread=spread([percentile(self.latencies_ms, 99)]),
                unit="ms",
                digits=0,
                at_most=KEY_LIMIT_P99_MS,
            ),
        ]
        for state, found, limit in (
            ("while training", self.training_bytes, BYTES_LIMIT),
            ("when paused", self.paused_bytes, STILL_BYTES_LIMIT),
            ("when done", self.done_bytes, STILL_BYTES_LIMIT),
        ):
            quantity = f"to the terminal {state} at {middle}"
            rows.append(Figure(quantity=quantity, spread=found, unit="B/s", digits=0, at_most=limit))
        return rows

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values: the medians, and the spreads apart from them."""
        spreads = {
            "headless_steps_per_second": self.headless,
            "dashboard_steps_per_second": self.dashboard,
            "ratio": self.ratio,
            "stalled_ratio": self.stalled_ratio,
            "bytes_per_second": self.training_bytes,
            "bytes_per_second_paused": self.paused_bytes,
            "bytes_per_second_done": self.done_bytes,
        }
        latencies = self.latencies_ms
        by_key: dict[str, list[float]] = {}
        for press in self.presses:
            by_key.setdefault(press.name, []).append(press.milliseconds)
        return {
            "preset": self.preset,
            **{name: found.median for name, found in spreads.items()},
            "key_latency_ms": {
                "p50": percentile(latencies, 50),
                "p99": percentile(latencies, 99),
                "n": len(latencies),
                "by_key": {name: dataclasses.asdict(spread(values)) for name, values in by_key.items()},
            },
            "spreads": {name: dataclasses.asdict(found) for name, found in spreads.items()},
            "limits": {
                "ratio": self.limit_ratio,
                "stalled_ratio": self.limit_ratio,
                "key_latency_ms": {"p50": KEY_LIMIT_P50_MS, "p99": KEY_LIMIT_P99_MS},
                "bytes_per_second": BYTES_LIMIT,
                "bytes_per_second_paused": STILL_BYTES_LIMIT,
                "bytes_per_second_done": STILL_BYTES_LIMIT,
            },
            "met": self.met,
        }


def measure_dashboard(options: BenchOptions, amounts: DashboardAmounts | None = None) -> DashboardBench:
    """Train with and without the dashboard in turn, press keys, count bytes, and leave a terminal unread.

    Raises:
        ConfigError: there is no such preset.
        RunFailedError: a run that is measured failed.
    """
    amounts = amounts or DashboardAmounts()
    config = options.config(options.preset or "tutorial", epochs=_ENDLESS)
    rounds = []
    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name:
        places = Path(name)
        for number in range(amounts.rounds):
            show_progress(f"training with and without the dashboard, {number + 1} of {amounts.rounds}")
            rounds.append(_measure_round(config, places, amounts))
        show_progress("pressing keys")
        presses = _measure_keys(config, places, amounts)
        show_progress("counting bytes")
        training_bytes, paused_bytes, done_bytes = _measure_bytes(config, places, amounts)
        show_progress("")
    return DashboardBench(
        preset=config.preset,
        headless=spread(headless for headless, _, _ in rounds),
        dashboard=spread(dashboard for _, dashboard, _ in rounds),
        ratio=spread(dashboard / headless for headless, dashboard, _ in rounds),
        stalled_ratio=spread(stalled / headless for headless, _, stalled in rounds),
        presses=tuple(presses),
        training_bytes=spread(training_bytes),
        paused_bytes=spread(paused_bytes),
        done_bytes=spread(done_bytes),
    )


def _measure_round(
    config: TrainConfig, places: Path, amounts: DashboardAmounts
) -> tuple[float, float, float]:
    """Steps a second without a screen, with the dashboard, and with a dashboard that nobody reads.

    They only train: an evaluation takes as long with a screen as without, and would blur what is compared.
    """
    config = config.replace(evaluate_every=0, checkpoint_every=0)
    columns, rows = LARGE
    with (
        headless_run(config, places) as headless,
        dashboard_run(config, places, columns=columns, rows=rows) as (seen, terminal),
        dashboard_run(config, places, columns=columns, rows=rows) as (unseen, unread),
    ):
        contestants = [
            Contestant(group=headless.group, pass_time=headless.pass_time),
            Contestant(group=seen.group, pass_time=terminal.read_for),
            Contestant(group=unseen.group, pass_time=time.sleep),  # nobody reads: that is what is measured
        ]
        for run, contestant in zip((headless, seen, unseen), contestants, strict=True):
            run.warm_up(amounts.warm_up_seconds)
            contestant.pass_time(amounts.settle_seconds)
            contestant.halt()
        before = terminal.bytes_read
        spans = take_turns(contestants, turns=amounts.turns, seconds=amounts.turn_seconds)
        if terminal.bytes_read == before:
            raise RunFailedError("the dashboard drew nothing: what it costs would mean nothing")
        rates = [run.rate(own) for run, own in zip((headless, seen, unseen), spans, strict=True)]
        unread.press("?")
        if unread.until("Pause training between two steps") is None:
            raise RunFailedError("the dashboard did not come back from a terminal that nobody read")
    return rates[0], rates[1], rates[2]


def _measure_keys(config: TrainConfig, places: Path, amounts: DashboardAmounts) -> list[KeyPress]:
    with dashboard_run(config, places, columns=LARGE[0], rows=LARGE[1]) as (run, terminal):
        run.warm_up(amounts.warm_up_seconds)
        terminal.read_for(amounts.settle_seconds)
        began = run.last_step
        presses = measure_key_latency(terminal, amounts.presses)
        run.look()
        if run.last_step == began:
            raise RunFailedError("the training stood while keys were pressed: their latency means nothing")
    return presses


def _measure_bytes(
    config: TrainConfig, places: Path, amounts: DashboardAmounts
) -> tuple[list[float], list[float], list[float]]:
    """Bytes a second while training, when paused and when done."""
    with dashboard_run(config, places, columns=MIDDLE[0], rows=MIDDLE[1]) as (run, terminal):
        run.warm_up(amounts.warm_up_seconds)
        terminal.read_for(amounts.settle_seconds)

        def counted(seconds: float) -> list[float]:
            return [terminal.read_for(seconds) / seconds for _ in range(amounts.windows)]

        training = counted(amounts.window_seconds)
        still = []
        for key, shows in ((" ", "paused"), ("s", "done")):
            terminal.press(key)
            if terminal.until(shows) is None:
                raise RunFailedError(f"the dashboard does not say {shows} after {key!r} was pressed")
            terminal.read_for(amounts.settle_seconds)
            still.append(counted(amounts.window_seconds / 2))
    return training, still[0], still[1]
