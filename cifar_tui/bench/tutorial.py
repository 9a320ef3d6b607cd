"""`cifar-tui bench tutorial`: the tutorial's plain loop against the engine, side by side."""

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cifar_tui.bench.children import TRAINS_SECONDS, Child
from cifar_tui.bench.engine_loop import EngineRun, EngineStart, check_losses, engine_loop, engine_run
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.plain_loop import plain_loop
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.bench.turns import Contestant, Span, rate, take_turns
from cifar_tui.engine.errors import RunFailedError

CPU_LIMIT_RATIO = 3.0
CUDA_LIMIT_RATIO = 20.0

_WARM_UP_STEPS = 200
_WARM_UP_SECONDS = 1.0
_STEPS_PER_MEAN = 50
_STEPS_TO_LEARN = 1000
"""So many steps bring the loss well below that of guessing; some hundred leave it there."""

_ENDLESS = 100_000
"""Two epochs are over before they are measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TutorialBench:
    """Steps a second of the same recipe on the same images, in the steady state.

    Attributes:
        plain_loop: of the tutorial's loop.
        engine: of the engine, the way it makes steps by itself.
        ratio: the engine's over the loop's, of each round.
        backend: the way it makes them, for the user to read.
        eager: of the engine in plain PyTorch; the same where it makes them so by itself.
        eager_ratio: the same over the loop's.
        device: for the user to read.
        starts: what came before the engine's steady state, in each round.
    """

    plain_loop: Spread
    engine: Spread
    ratio: Spread
    backend: str
    eager: Spread
    eager_ratio: Spread
    device: str
    starts: tuple[EngineStart, ...]

    @property
    def title(self) -> str:
        """What stands above the table."""
        return f"The tutorial's recipe on {self.device}: its plain loop against the engine"

    @property
    def limit_ratio(self) -> float:
        """What the ratio must reach."""
        return CUDA_LIMIT_RATIO if self.on_cuda else CPU_LIMIT_RATIO

    @property
    def limit_eager_ratio(self) -> float | None:
        """What the ratio must reach in plain PyTorch; None where nothing is asked of it."""
        return None if self.on_cuda else CPU_LIMIT_RATIO

    @property
    def on_cuda(self) -> bool:
        """Whether that was on a GPU of NVIDIA's."""
        return self.device.startswith("cuda")

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return all(row.met for row in self.figures())

    @property
    def start_spreads(self) -> dict[str, Spread]:
        """What came before the steady state, by the names of `EngineStart`."""
        taken = list(map(dataclasses.asdict, self.starts))
        return {name: spread(start[name] for start in taken) for name in taken[0]}

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        return [
            Figure(quantity="the tutorial's own loop", spread=self.plain_loop, unit="steps/s", digits=0),
            Figure(quantity=f"the engine, {self.backend}", spread=self.engine, unit="steps/s", digits=0),
            Figure(quantity="engine over loop", spread=self.ratio, at_least=self.limit_ratio),
            Figure(quantity="the engine in plain PyTorch", spread=self.eager, unit="steps/s", digits=0),
            Figure(
                quantity="that over loop",
                spread=self.eager_ratio,
                at_least=self.limit_eager_ratio,
            ),
            Figure(
                quantity="the engine, from its start to the images",
                spread=self.start_spreads["load_seconds"],
                unit="s",
            ),
            Figure(
                quantity="from there to its first step",
                spread=self.start_spreads["compile_seconds"],
                unit="s",
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values: the medians, and the spreads apart from them."""
        return {
            "plain_loop_steps_per_second": self.plain_loop.median,
            "engine_steps_per_second": self.engine.median,
            "ratio": self.ratio.median,
            "backend": self.backend,
            "eager_steps_per_second": self.eager.median,
            "eager_ratio": self.eager_ratio.median,
            "spreads": {
                "plain_loop_steps_per_second": dataclasses.asdict(self.plain_loop),
                "engine_steps_per_second": dataclasses.asdict(self.engine),
                "ratio": dataclasses.asdict(self.ratio),
                "eager_steps_per_second": dataclasses.asdict(self.eager),
                "eager_ratio": dataclasses.asdict(self.eager_ratio),
            },
            "start": {name: dataclasses.asdict(found) for name, found in self.start_spreads.items()},
            "device": self.device,
            "limits": {"ratio": self.limit_ratio, "eager_ratio": self.limit_eager_ratio},
            "met": self.met,
        }


def measure_tutorial(
    options: BenchOptions,
    *,
    rounds: int = 5,
    turns: int = 4,
    turn_seconds: float = 1.5,
    warm_up_steps: int = _WARM_UP_STEPS,
    warm_up_seconds: float = _WARM_UP_SECONDS,
) -> TutorialBench:
    """Train by the loop and by the engine, each in a process of its own, which take turns.

    Args:
        options: what on.
        rounds: how often, with fresh processes.
        turns: how often each goes on in a round.
        turn_seconds: and how long each time.
        warm_up_steps: of the loop.
        warm_up_seconds: of the engine.

    Raises:
        UserError: it cannot be done on these images or this device.
        RunFailedError: a process that measures failed, or did not train.
    """
    config = options.config("tutorial", epochs=_ENDLESS, eval_every=0, checkpoint_every_epochs=0)
    eager_config = config.replace(backend="eager")
    found, starts = [], []
    for number in range(rounds):
        show_progress(f"the tutorial's loop and the engine, {number + 1} of {rounds}", passing=True)
        with contextlib.ExitStack() as processes:
            loop = processes.enter_context(plain_loop(config, warm_up_steps=warm_up_steps))
            warm_loop, said = _once_warm(loop)
            device = said["device"]
            engine = processes.enter_context(engine_loop(config, warm_up_seconds=warm_up_seconds))
            warm_engine, said = _once_warm(engine)
            backend = said["backend"]
            engines, contestants = [engine], [warm_loop, warm_engine]
            if not backend.startswith("eager"):
                eager = engine_loop(eager_config, warm_up_seconds=warm_up_seconds)
                engines.append(processes.enter_context(eager))
                contestants.append(_once_warm(engines[-1])[0])
            spans = take_turns(contestants, turns=turns, seconds=turn_seconds)
            loop_rate = _rate_of_loop(loop, spans[0], device)
            runs = list(map(_end_of_engine, engines))
            engine_rates = [
                rate(own, run.moments, device=device) for own, run in zip(spans[1:], runs, strict=True)
            ]
            found.append((loop_rate, engine_rates[0], engine_rates[-1]))
            starts.append(runs[0].start)
    show_progress("")
    return TutorialBench(
        plain_loop=spread(loop for loop, _, _ in found),
        engine=spread(engine for _, engine, _ in found),
        ratio=spread(engine / loop for loop, engine, _ in found),
        backend=backend,
        eager=spread(eager for _, _, eager in found),
        eager_ratio=spread(eager / loop for loop, _, eager in found),
        device=device,
        starts=tuple(starts),
    )


def _once_warm(process: Child) -> tuple[Contestant, dict[str, Any]]:
    """The training in `process`, which is warm and stands still, and what it said before."""
    said = process.answer(TRAINS_SECONDS)
    contestant = Contestant(group=process.group, pass_time=time.sleep)
    contestant.halt()
    return contestant, said


def _rate_of_loop(process: Child, spans: Sequence[Span], device: str) -> float:
    process.terminate()
    found = process.answer(TRAINS_SECONDS)
    check_losses(_means(found["losses"]), "the tutorial's loop")
    return rate(spans, found["moments"], device=device)


def _end_of_engine(process: Child) -> EngineRun:
    process.terminate()
    run = engine_run(process.answer(TRAINS_SECONDS))
    if run.moments[-1][1] >= _STEPS_TO_LEARN and run.saved_loss >= math.log(run.classes):
        raise RunFailedError(
            f"the engine did not train: what it saved has a loss of {run.saved_loss:.2f} on its own "
            "training images, and its speed would mean nothing"
        )
    return run


def _means(losses: list[float]) -> list[float]:
    """The means over as many steps as a point of the engine's charts has: single losses say little."""
    return [
        statistics.fmean(losses[first : first + _STEPS_PER_MEAN])
        for first in range(0, len(losses), _STEPS_PER_MEAN)
    ]
