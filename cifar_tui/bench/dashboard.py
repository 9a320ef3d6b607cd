"""`cifar-tui bench dashboard`: what the screen costs a training, and how soon it answers."""

import dataclasses
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cifar_tui.bench.key_latency import KeyLatency, measure_key_latency, percentile
from cifar_tui.bench.logged_run import dashboard_run
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.bench.screen_cost import LARGE, CostAmounts, ScreenCost, endless_config, measure_cost
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import RunFailedError

KEY_LIMIT_P50_MS = 50.0
KEY_LIMIT_P99_MS = 150.0
BYTES_LIMIT = 12_000.0
STILL_BYTES_LIMIT = 200.0

MIDDLE = (120, 40)
"""Columns and rows of the terminal in which bytes are counted."""

_ALSO = "quick"
"""The preset whose screen is measured beside the tutorial's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DashboardAmounts:
    """How much is measured.

    Attributes:
        cost: of trainings of the tutorial with and without a screen; and how long a training warms up before
            keys and bytes are measured.
        other_cost: of those of other presets. The limit is 1 %, and two processes that do the same differ by
            as much for life: hence more rounds, each with new processes.
        presses: how many keys are pressed, at least eight: one of eight holds the training.
        windows: how often bytes are counted in each state.
        window_seconds: how long each time while training; half of it when the training stands.
    """

    cost: CostAmounts = field(default_factory=CostAmounts)
    other_cost: CostAmounts = field(default_factory=lambda: CostAmounts(rounds=9, round_seconds=40.0))
    presses: int = 120
    windows: int = 3
    window_seconds: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DashboardBench:
    """What was measured of the dashboard over a training.

    Attributes:
        cost: of the screen.
        also: the same of another preset; None where one was asked for by name.
        keys: how soon they showed their effect while training.
        training_bytes: bytes a second to the terminal while training.
        paused_bytes: while paused.
        done_bytes: when the training is over.
    """

    cost: ScreenCost
    also: ScreenCost | None
    keys: KeyLatency
    training_bytes: Spread
    paused_bytes: Spread
    done_bytes: Spread

    @property
    def title(self) -> str:
        """What stands above the table."""
        return f"What the dashboard costs a training, preset {self.cost.preset} on {self.cost.maker}"

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return all(row.met for row in self.figures())

    @property
    def latencies_ms(self) -> list[float]:
        """Of every key, in milliseconds."""
        return [press.milliseconds for press in self.keys.presses]

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        large, middle = (f"{columns}×{rows}" for columns, rows in (LARGE, MIDDLE))
        rows = [
            *self.cost.figures(),
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
            Figure(
                quantity="key to a training that is paused and saved",
                spread=spread(self.keys.paused_ms),
                unit="ms",
                digits=0,
            ),
        ]
        for state, found, limit in (
            ("while training", self.training_bytes, BYTES_LIMIT),
            ("when paused", self.paused_bytes, STILL_BYTES_LIMIT),
            ("when done", self.done_bytes, STILL_BYTES_LIMIT),
        ):
            quantity = f"to the terminal {state} at {middle}"
            rows.append(Figure(quantity=quantity, spread=found, unit="B/s", digits=0, at_most=limit))
        if self.also is not None:
            rows += self.also.figures(f"{self.also.preset}: ")
        return rows

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values: the medians, and the spreads apart from them."""
        spreads = {
            "bytes_per_second": self.training_bytes,
            "bytes_per_second_paused": self.paused_bytes,
            "bytes_per_second_done": self.done_bytes,
        }
        cost = self.cost.as_json()
        latencies = self.latencies_ms
        by_key: dict[str, list[float]] = {}
        for press in self.keys.presses:
            by_key.setdefault(press.name, []).append(press.milliseconds)
        return {
            **cost,
            **{name: found.median for name, found in spreads.items()},
            "key_latency_ms": {
                "p50": percentile(latencies, 50),
                "p99": percentile(latencies, 99),
                "n": len(latencies),
                "by_key": {name: dataclasses.asdict(spread(values)) for name, values in by_key.items()},
            },
            "paused_after_ms": dataclasses.asdict(spread(self.keys.paused_ms)),
            "spreads": cost["spreads"] | {name: dataclasses.asdict(found) for name, found in spreads.items()},
            "limits": {
                **cost["limits"],
                "key_latency_ms": {"p50": KEY_LIMIT_P50_MS, "p99": KEY_LIMIT_P99_MS},
                "bytes_per_second": BYTES_LIMIT,
                "bytes_per_second_paused": STILL_BYTES_LIMIT,
                "bytes_per_second_done": STILL_BYTES_LIMIT,
            },
            "presets": {} if self.also is None else {self.also.preset: self.also.as_json()},
            "met": self.met,
        }


def measure_dashboard(
    options: BenchOptions,
    amounts: DashboardAmounts | None = None,
    **settings: Any,  # noqa: ANN401 - a setting has its own type
) -> DashboardBench:
    """Train with and without the dashboard in turn, press keys, count bytes, and leave a terminal unread.

    Args:
        options: what on; where they name no preset, the tutorial is measured, and the screen of another one.
        amounts: how much.
        settings: of the trainings, on top of their preset.

    Raises:
        UserError: there is no such preset, or a run that is measured ended.
        RunFailedError: a run that is measured failed.
    """
    amounts = amounts or DashboardAmounts()
    preset = options.preset or "tutorial"
    config = endless_config(options, preset, **settings)
    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name:
        places = Path(name)
        cost_amounts = amounts.cost if preset == "tutorial" else amounts.other_cost
        cost = measure_cost(config, places, cost_amounts, unread=True)
        also = None
        if options.preset is None:
            also_config = endless_config(options, _ALSO, **settings)
            also = measure_cost(also_config, places, amounts.other_cost, unread=False)
        show_progress("pressing keys")
        keys = _measure_keys(config, places, amounts)
        show_progress("counting bytes")
        training_bytes, paused_bytes, done_bytes = _measure_bytes(config, places, amounts)
        show_progress("")
    return DashboardBench(
        cost=cost,
        also=also,
        keys=keys,
        training_bytes=spread(training_bytes),
        paused_bytes=spread(paused_bytes),
        done_bytes=spread(done_bytes),
    )


def _measure_keys(config: TrainConfig, places: Path, amounts: DashboardAmounts) -> KeyLatency:
    with dashboard_run(config, places, columns=LARGE[0], rows=LARGE[1]) as (run, terminal):
        run.warmup_fraction(amounts.cost.warm_up_seconds)
        terminal.read_for(amounts.cost.settle_seconds)
        began = run.last_step
        keys = measure_key_latency(terminal, amounts.presses)
        run.look()
        if run.last_step == began:
            raise RunFailedError("the training stood while keys were pressed: their latency means nothing")
    return keys


def _measure_bytes(
    config: TrainConfig, places: Path, amounts: DashboardAmounts
) -> tuple[list[float], list[float], list[float]]:
    """Bytes a second while training, when paused and when done."""
    with dashboard_run(config, places, columns=MIDDLE[0], rows=MIDDLE[1]) as (run, terminal):
        run.warmup_fraction(amounts.cost.warm_up_seconds)
        terminal.read_for(amounts.cost.settle_seconds)

        def counted(seconds: float) -> list[float]:
            return [terminal.read_for(seconds) / seconds for _ in range(amounts.windows)]

        training = counted(amounts.window_seconds)
        still = []
        for key, shows in ((" ", "paused"), ("s", "done")):
            terminal.press(key)
            if terminal.until(shows) is None:
                raise RunFailedError(f"the dashboard does not say {shows} after {key!r} was pressed")
            terminal.read_for(amounts.cost.settle_seconds)
            still.append(counted(amounts.window_seconds / 2))
    return training, still[0], still[1]
