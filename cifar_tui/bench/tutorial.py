"""`cifar-tui bench tutorial`: the tutorial's plain loop against the engine, side by side."""

import dataclasses
import math
import statistics
from dataclasses import dataclass
from typing import Any

from cifar_tui.bench.engine_loop import EngineRun, check_losses, measure_engine
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.plain_loop import measure_plain_loop
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.engine.config import TrainConfig
from cifar_tui.engine.errors import RunFailedError

CPU_LIMIT_RATIO = 3.0
CUDA_LIMIT_RATIO = 20.0

_WARM_UP_STEPS = 200
_WARM_UP_SECONDS = 1.0
_STEPS_PER_MEAN = 50
_STEPS_TO_LEARN = 1000
"""So many steps bring the loss well below that of guessing; some hundred leave it there."""

_CUDA_EPOCHS = 100
"""On a GPU two epochs are over before they can be measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TutorialBench:
    """Steps a second of the same recipe on the same images, in the steady state.

    Attributes:
        plain_loop: of the tutorial's loop.
        engine: of the engine, the way it makes steps by itself.
        ratio: the engine's over the loop's, of each round.
        step_path: the way it makes them, for the user to read.
        eager: of the engine in plain PyTorch; the same where it makes them so by itself.
        eager_ratio: the same over the loop's.
        device: for the user to read.
    """

    plain_loop: Spread
    engine: Spread
    ratio: Spread
    step_path: str
    eager: Spread
    eager_ratio: Spread
    device: str

    @property
    def title(self) -> str:
        """What stands above the table."""
        return f"The tutorial's recipe on {self.device}: its plain loop against the engine"

    @property
    def limit_ratio(self) -> float:
        """What the ratio must reach."""
        return CUDA_LIMIT_RATIO if self.on_cuda else CPU_LIMIT_RATIO

    @property
    def on_cuda(self) -> bool:
        """Whether that was on a GPU of NVIDIA's."""
        return self.device.startswith("cuda")

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return all(row.met for row in self.figures())

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        return [
            Figure(quantity="the tutorial's own loop", spread=self.plain_loop, unit="steps/s", digits=0),
            Figure(quantity=f"the engine, {self.step_path}", spread=self.engine, unit="steps/s", digits=0),
            Figure(quantity="engine over loop", spread=self.ratio, at_least=self.limit_ratio),
            Figure(quantity="the engine in plain PyTorch", spread=self.eager, unit="steps/s", digits=0),
            Figure(
                quantity="that over loop",
                spread=self.eager_ratio,
                at_least=None if self.on_cuda else CPU_LIMIT_RATIO,
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values: the medians, and the spreads apart from them."""
        return {
            "plain_loop_steps_per_second": self.plain_loop.median,
            "engine_steps_per_second": self.engine.median,
            "ratio": self.ratio.median,
            "step_path": self.step_path,
            "eager_steps_per_second": self.eager.median,
            "eager_ratio": self.eager_ratio.median,
            "spreads": {
                "plain_loop_steps_per_second": dataclasses.asdict(self.plain_loop),
                "engine_steps_per_second": dataclasses.asdict(self.engine),
                "ratio": dataclasses.asdict(self.ratio),
                "eager_steps_per_second": dataclasses.asdict(self.eager),
                "eager_ratio": dataclasses.asdict(self.eager_ratio),
            },
            "device": self.device,
            "limits": {"ratio": self.limit_ratio},
            "met": self.met,
        }


def measure_tutorial(
    options: BenchOptions,
    *,
    pairs: int = 4,
    seconds: float = 3.0,
    warm_up_steps: int = _WARM_UP_STEPS,
    warm_up_seconds: float = _WARM_UP_SECONDS,
) -> TutorialBench:
    """Train by the loop and by the engine in turn, each time in a fresh process.

    Args:
        options: what on.
        pairs: how often.
        seconds: how long each time, after the warm-up.
        warm_up_steps: of the loop.
        warm_up_seconds: of the engine.

    Raises:
        RunFailedError: a process that measures failed, or did not train.
    """
    config = options.config("tutorial")
    loops, engines, eagers = [], [], []
    for number in range(pairs):
        show_progress(f"the tutorial's loop, {number + 1} of {pairs}", passing=True)
        loop = measure_plain_loop(config, warm_up_steps=warm_up_steps, seconds=seconds)
        check_losses(_means(loop["losses"]), "the tutorial's loop")
        loops.append(loop["steps"] / loop["seconds"])
        if loop["device"].startswith("cuda"):
            config = config.replace(epochs=_CUDA_EPOCHS)
        show_progress(f"the engine, {number + 1} of {pairs}", passing=True)
        engine = _measure_engine(config, warm_up_seconds, seconds)
        engines.append(engine.steps_per_second)
        if not engine.step_path.startswith("eager"):
            eager = _measure_engine(config.replace(step_path="eager"), warm_up_seconds, seconds)
            eagers.append(eager.steps_per_second)
    show_progress("")
    eagers = eagers or engines
    return TutorialBench(
        plain_loop=spread(loops),
        engine=spread(engines),
        ratio=spread(engine / loop for engine, loop in zip(engines, loops, strict=True)),
        step_path=engine.step_path,
        eager=spread(eagers),
        eager_ratio=spread(eager / loop for eager, loop in zip(eagers, loops, strict=True)),
        device=engine.device,
    )


def _measure_engine(config: TrainConfig, warm_up_seconds: float, seconds: float) -> EngineRun:
    run = measure_engine(config, warm_up_seconds=warm_up_seconds, seconds=seconds)
    if run.steps >= _STEPS_TO_LEARN and run.saved_loss >= math.log(run.classes):
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
