"""What the screen costs: a training without one, with the dashboard, and with one that nobody reads."""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tui.bench.logged_run import LoggedRun, dashboard_run, headless_run
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.bench.turns import Contestant, take_turns
from cifar_tui.engine.config.schema import TrainConfig, preset_config
from cifar_tui.engine.errors import RunFailedError

TUTORIAL_LIMIT_RATIO = 0.97
LIMIT_RATIO = 0.99

LARGE = (200, 50)
"""Columns and rows of the terminal."""

_ENDLESS = 100_000
_LARGE_BATCH = 128
_STEPS_PER_TURN, _FEWEST_TURNS = 3, 4
"""Where a step takes seconds, a round lasts longer than was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostAmounts:
    """How much is measured.

    Attributes:
        rounds: how often the trainings are compared, with fresh processes.
        warm_up_seconds: of training, that do not count.
        settle_seconds: how long the dashboard may draw after a change before it is measured.
        round_seconds: how long they go on in a round, all of them together.
        turn_seconds: how long each of them goes on at a time, or longer where that is less than three steps.
            The shorter, the less it matters how a machine that others share changes meanwhile.
    """

    rounds: int = 3
    warm_up_seconds: float = 1.0
    settle_seconds: float = 6.0
    round_seconds: float = 80.0
    turn_seconds: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenCost:
    """What was measured over a training of `preset`.

    Attributes:
        preset: its name.
        headless: steps a second without a screen, in each round.
        dashboard: the same with the dashboard.
        ratio: dashboard over headless.
        stalled_ratio: a dashboard whose terminal nobody reads, over headless; None where there was none.
        device: what was trained on, for the user to read.
        backend: how the steps were made, for the user to read; empty where there is only one way.
    """

    preset: str
    headless: Spread
    dashboard: Spread
    ratio: Spread
    stalled_ratio: Spread | None
    device: str
    backend: str

    @property
    def maker(self) -> str:
        """The device and the way the steps were made, for the user to read."""
        return ", ".join(filter(None, (self.device, self.backend)))

    @property
    def limit_ratio(self) -> float:
        """What the ratios must reach."""
        tutorial_on_cpu = self.preset == "tutorial" and not self.device.startswith("cuda")
        return TUTORIAL_LIMIT_RATIO if tutorial_on_cpu else LIMIT_RATIO

    def figures(self, prefix: str = "") -> list[Figure]:
        """The rows of the table, each with `prefix` before what was measured."""
        columns, rows = LARGE
        figures = [
            Figure(quantity=f"{prefix}without a screen", spread=self.headless, unit="steps/s", digits=1),
            Figure(
                quantity=f"{prefix}with the dashboard at {columns}×{rows}",
                spread=self.dashboard,
                unit="steps/s",
                digits=1,
            ),
            Figure(
                quantity=f"{prefix}dashboard over headless",
                spread=self.ratio,
                digits=3,
                at_least=self.limit_ratio,
            ),
        ]
        if self.stalled_ratio is not None:
            figures.append(
                Figure(
                    quantity=f"{prefix}with a terminal that nobody reads, over headless",
                    spread=self.stalled_ratio,
                    digits=3,
                    at_least=self.limit_ratio,
                )
            )
        return figures

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values: the medians, and the spreads apart from them."""
        spreads = {
            "headless_steps_per_second": self.headless,
            "dashboard_steps_per_second": self.dashboard,
            "ratio": self.ratio,
        }
        if self.stalled_ratio is not None:
            spreads["stalled_ratio"] = self.stalled_ratio
        return {
            "preset": self.preset,
            "device": self.device,
            "backend": self.backend,
            **{name: found.median for name, found in spreads.items()},
            "spreads": {name: dataclasses.asdict(found) for name, found in spreads.items()},
            "limits": {name: self.limit_ratio for name in spreads if name.endswith("ratio")},
        }


def endless_config(
    options: BenchOptions,
    preset: str,
    **settings: Any,  # noqa: ANN401 - a setting has its own type
) -> TrainConfig:
    """The settings of `preset` for a training that is not over before it is measured.

    Large batches tell of every step, so that a step is known when it is made.

    Raises:
        ConfigError: there is no such preset, or a setting is wrong.
    """
    every_step = {"chart_every": 1} if preset_config(preset).batch_size >= _LARGE_BATCH else {}
    return options.config(preset, **({"epochs": _ENDLESS} | every_step | settings))


def measure_cost(config: TrainConfig, places: Path, amounts: CostAmounts, *, unread: bool) -> ScreenCost:
    """Train with and without the dashboard in turn, and with `unread` also with one that nobody reads.

    They only train: an evaluation and a checkpoint take as long with a screen as without, and would blur what
    is compared.

    Raises:
        UserError: a run that is measured ended.
        RunFailedError: a run that is measured failed.
    """
    config = config.replace(eval_every=0, checkpoint_every_epochs=0, checkpoint_every_minutes=0.0)
    rounds = []
    for number in range(amounts.rounds):
        show_progress(f"{config.preset} with and without the dashboard, {number + 1} of {amounts.rounds}")
        rates, headless = _measure_round(config, places, amounts, unread=unread)
        rounds.append(rates)
    return ScreenCost(
        preset=config.preset,
        headless=spread(rates[0] for rates in rounds),
        dashboard=spread(rates[1] for rates in rounds),
        ratio=spread(rates[1] / rates[0] for rates in rounds),
        stalled_ratio=spread(rates[2] / rates[0] for rates in rounds) if unread else None,
        device=headless.device,
        backend=headless.backend,
    )


def _measure_round(
    config: TrainConfig, places: Path, amounts: CostAmounts, *, unread: bool
) -> tuple[list[float], LoggedRun]:
    """Steps a second without a screen, with the dashboard and with one that nobody reads; and the first run.

    One after the other is started, and halted once it is warm: the start of one, in which it may choose its
    precision by how fast that is, is not to be disturbed by another.
    """
    columns, rows = LARGE
    with contextlib.ExitStack() as started:
        headless = started.enter_context(headless_run(config, places))
        contestants = [_settled(headless, headless.pass_time, amounts)]
        seen, terminal = started.enter_context(dashboard_run(config, places, columns=columns, rows=rows))
        contestants.append(_settled(seen, terminal.read_for, amounts))
        runs = [headless, seen]
        if unread:
            run, stalled = started.enter_context(dashboard_run(config, places, columns=columns, rows=rows))
            contestants.append(_settled(run, time.sleep, amounts))  # nobody reads: that is what is measured
            runs.append(run)
        before = terminal.bytes_read
        seconds = max(amounts.turn_seconds, *(_STEPS_PER_TURN * run.step_seconds for run in runs))
        turns = max(_FEWEST_TURNS, round(amounts.round_seconds / seconds / len(contestants)))
        spans = take_turns(contestants, turns=turns, seconds=seconds)
        if terminal.bytes_read == before:
            raise RunFailedError("the dashboard drew nothing: what it costs would mean nothing")
        rates = [run.rate(own) for run, own in zip(runs, spans, strict=True)]
        if unread:
            stalled.press("?")
            if stalled.until("Pause training between two steps") is None:
                raise RunFailedError("the dashboard did not come back from a terminal that nobody read")
    return rates, headless


def _settled(run: LoggedRun, pass_time: Callable[[float], object], amounts: CostAmounts) -> Contestant:
    """The training of `run`, which is warm and stands still."""
    run.warmup_fraction(amounts.warm_up_seconds)
    pass_time(amounts.settle_seconds)
    contestant = Contestant(group=run.group, pass_time=pass_time)
    contestant.halt()
    return contestant
