"""`cifar-tui bench presets`: how fast each trains and, with `--full`, how far it comes and how soon."""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from cifar_tui.bench.children import user_error
from cifar_tui.bench.engine_loop import EngineStart, measure_engine
from cifar_tui.bench.options import BenchOptions, arguments_of
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.engine.config.presets import PRESETS

_MOST_STEPS_A_POINT = 5
"""A point is known once its steps are made, and on a CPU a step of a large net takes seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeRuns:
    """Whole trainings of one preset, each with another seed.

    Attributes:
        accuracy: on the test images, 0-1.
        train_seconds: spent training, without loading, compiling ahead and evaluating.
        seconds: from the start of the process until the accuracy is known.
    """

    accuracy: Spread
    train_seconds: Spread
    seconds: Spread


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetSpeed:
    """One preset: its speed in the steady state, over a few parts of one run, and what came before that."""

    preset: str
    images_per_second: Spread
    start: EngineStart
    whole_runs: WholeRuns | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetsBench:
    """What was measured of the presets on one device; there are no limits."""

    speeds: tuple[PresetSpeed, ...]
    device: str

    @property
    def title(self) -> str:
        """What stands above the table."""
        return f"The presets on {self.device}"

    @property
    def met(self) -> bool:
        """Nothing can be missed."""
        return True

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        rows = []
        for speed in self.speeds:
            rows.append(
                Figure(quantity=speed.preset, spread=speed.images_per_second, unit="images/s", digits=0)
            )
            whole = speed.whole_runs
            if whole is not None:
                for quantity, found, unit, digits in (
                    ("accuracy on the test images", whole.accuracy, "%", 2),
                    ("training time", whole.train_seconds, "s", 2),
                    ("from the start of the process to the accuracy", whole.seconds, "s", 1),
                ):
                    rows.append(
                        Figure(
                            quantity=f"{speed.preset}: {quantity}",
                            spread=found,
                            unit=unit,
                            digits=digits,
                            by_mean=True,
                        )
                    )
        return rows

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values, by preset."""
        return {
            "by_preset": {
                speed.preset: {
                    "images_per_second": dataclasses.asdict(speed.images_per_second),
                    "start": dataclasses.asdict(speed.start),
                    "whole_runs": None if speed.whole_runs is None else dataclasses.asdict(speed.whole_runs),
                }
                for speed in self.speeds
            },
            "device": self.device,
            "met": self.met,
        }


def measure_presets(
    options: BenchOptions, *, seconds: float = 3.0, warm_up_seconds: float = 1.0
) -> PresetsBench:
    """Train every preset for a while, and to its end where that is asked for.

    Args:
        options: what on.
        seconds: how long, after the warm-up; a preset of which a single step takes longer makes two points.
        warm_up_seconds: from the first step on.

    Raises:
        UserError: there is no such preset, or it cannot be done on these images or this device.
        RunFailedError: a process that measures failed, or did not train.
    """
    speeds, device = [], ""
    for preset in PRESETS if options.preset is None else (options.preset,):
        config = options.config(preset)
        config = config.replace(chart_every=min(config.chart_every, _MOST_STEPS_A_POINT))
        show_progress(f"preset {preset}", passing=True)
        run = measure_engine(config, warm_up_seconds=warm_up_seconds, seconds=seconds)
        device = run.device
        whole = _measure_whole_runs(options, preset) if options.full else None
        speeds.append(
            PresetSpeed(
                preset=preset,
                images_per_second=spread(run.images_per_second),
                start=run.start,
                whole_runs=whole,
            )
        )
    show_progress("")
    return PresetsBench(speeds=tuple(speeds), device=device)


def _measure_whole_runs(options: BenchOptions, preset: str) -> WholeRuns:
    found = []
    for seed in range(options.runs):
        show_progress(f"preset {preset}, to its end, {seed + 1} of {options.runs}")
        found.append(_train_to_the_end(arguments_of(options.config(preset, seed=seed))))
    accuracies, train_seconds, seconds = zip(*found, strict=True)
    return WholeRuns(
        accuracy=spread(accuracies), train_seconds=spread(train_seconds), seconds=spread(seconds)
    )


def _train_to_the_end(arguments: list[str]) -> tuple[float, float, float]:
    """The accuracy, the seconds of training, and those from the start of the process."""
    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as checkpoints:
        command = [sys.executable, "-m", "cifar_tui", "train", "--json", "--checkpoints", checkpoints]
        began = time.monotonic()
        result = subprocess.run(  # noqa: S603 - this program itself
            [*command, *arguments], capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - began
    if result.returncode:
        sentence = result.stderr.strip().splitlines()[-1].removeprefix("cifar-tui: ")
        raise user_error(f"a training to be measured failed: {sentence}", result.returncode)
    found = json.loads(result.stdout)
    return found["test"]["accuracy"], found["train_seconds"], seconds
