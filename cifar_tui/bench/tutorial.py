"""`cifar-tui bench tutorial`: the tutorial's own loop, eager PyTorch and the default backend, in turn."""

import contextlib
import tempfile
from pathlib import Path

from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Measurement, Report, show_progress
from cifar_tui.bench.training import Training, check_learned, check_points, headless_training, plain_loop
from cifar_tui.bench.turns import measure_in_turns

LIMIT_RATIO = 20.0
"""Speedup of the default backend over the tutorial's own loop, at least."""

_STEPS_TO_LEARN = 1000
"""After this many steps the accuracy is well above that of guessing."""


def measure_tutorial(
    options: BenchOptions,
    *,
    rounds: int = 5,
    turns: int = 4,
    turn_seconds: float = 1.5,
    warm_up_seconds: float = 1.0,
) -> Report:
    """Train the same recipe in three ways, in processes that take turns.

    Args:
        options: images and device.
        rounds: how often, with fresh processes.
        turns: turns of each run in a round.
        turn_seconds: length of a turn.
        warm_up_seconds: training before the first turn.

    Raises:
        UserError: the device or the images are not available.
        RunFailedError: a run failed or did not learn.
    """
    config = options.steady_config("tutorial")
    eager_config = config.replace(backend="eager")
    contestants = ((headless_training, config), (headless_training, eager_config), (plain_loop, config))
    speeds: list[list[float]] = []
    startups: list[float] = []
    for number in range(1, rounds + 1):
        show_progress(f"tutorial: round {number} of {rounds}")
        with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name, contextlib.ExitStack() as ended:
            trainings: list[Training] = []
            for start, settings in contestants:
                folder = Path(tempfile.mkdtemp(dir=name))
                trainings.append(ended.enter_context(start(settings, folder)))
                trainings[-1].warm_up(warm_up_seconds)
            speeds.append(measure_in_turns(trainings, turns=turns, seconds=turn_seconds))
            default, eager, loop = trainings
            check_points(loop.points, "the tutorial's loop")
            for training, settings in ((default, config), (eager, eager_config)):
                check_points(training.points, training.backend)
                weights = training.stop()
                if number == rounds and training.points[-1].step >= _STEPS_TO_LEARN:
                    check_learned(settings, weights)
        startups.append(default.startup_seconds)
    show_progress("")
    of_default, of_eager, of_loop = (tuple(values) for values in zip(*speeds, strict=True))
    return Report(
        title=f"The tutorial on {default.device}, default backend: {default.backend}",
        rows=(
            Measurement(name="the tutorial's own loop", values=of_loop, unit="steps/s", digits=0),
            Measurement(name="eager backend", values=of_eager, unit="steps/s", digits=0),
            Measurement(name="default backend", values=of_default, unit="steps/s", digits=0),
            Measurement(
                name="speedup of the eager backend over the tutorial's loop",
                values=_ratios(of_eager, of_loop),
            ),
            Measurement(
                name="speedup of the default backend over the tutorial's loop",
                values=_ratios(of_default, of_loop),
                digits=1,
                at_least=LIMIT_RATIO,
            ),
            Measurement(
                name="default backend: time from launch to first step", values=tuple(startups), unit="s"
            ),
        ),
    )


def _ratios(numerators: tuple[float, ...], denominators: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(top / bottom for top, bottom in zip(numerators, denominators, strict=True))
