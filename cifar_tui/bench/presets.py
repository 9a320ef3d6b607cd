"""`cifar-tui bench presets`: images per second of every preset and, with `--full`, accuracy and time."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Measurement, Report, show_progress
from cifar_tui.bench.training import check_points, headless_training, train_to_the_end
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import LossPoint

_PARTS = 5
_MAX_STEPS_PER_POINT = 5
"""A point is logged after its last step, and a step of a large net takes seconds on a CPU."""


def measure_presets(options: BenchOptions, *, seconds: float = 3.0, warm_up_seconds: float = 1.0) -> Report:
    """Train every preset for a while and, if requested, to its end with several seeds.

    Args:
        options: presets, images and device.
        seconds: training after the warm-up; longer if two points take longer.
        warm_up_seconds: training before.

    Raises:
        UserError: there is no such preset, or the device or the images are not available.
        RunFailedError: a run failed or did not learn.
    """
    rows: list[Measurement] = []
    device = ""
    for preset in PRESETS if options.preset is None else (options.preset,):
        show_progress(f"preset {preset}")
        speed, device = _measure_speed(options, preset, seconds, warm_up_seconds)
        rows.append(speed)
        if options.full:
            rows += _measure_full_runs(options, preset)
    show_progress("")
    return Report(title=f"The presets on {device}", rows=tuple(rows))


def _measure_speed(
    options: BenchOptions, preset: str, seconds: float, warm_up_seconds: float
) -> tuple[Measurement, str]:
    """Return images per second of parts of one run, and the device it ran on."""
    config = options.steady_config(preset)
    config = config.replace(chart_every=min(config.chart_every, _MAX_STEPS_PER_POINT))

    def measured() -> list[LossPoint]:
        return [point for point in training.points if point.train_seconds >= warm_up_seconds]

    def is_enough() -> bool:
        points = measured()
        return len(points) > 1 and points[-1].train_seconds - points[0].train_seconds >= seconds

    with (
        tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name,
        headless_training(config, Path(name)) as training,
    ):
        training.wait_for(is_enough)
        training.stop()
    check_points(training.points, f"preset {preset}")
    values = tuple(images_per_second(measured(), _PARTS))
    return Measurement(name=preset, values=values, unit="images/s", digits=0), training.device


def _measure_full_runs(options: BenchOptions, preset: str) -> list[Measurement]:
    found = []
    for seed in range(options.runs):
        show_progress(f"preset {preset}: full run {seed + 1} of {options.runs}")
        results, seconds = train_to_the_end(options.config(preset, seed=seed))
        found.append((100 * results["test"]["accuracy"], results["train_seconds"], seconds))
    accuracies, train_seconds, seconds_in_all = zip(*found, strict=True)
    return [
        Measurement(name=f"{preset}: test accuracy", values=accuracies, unit="%"),
        Measurement(name=f"{preset}: training time", values=train_seconds, unit="s"),
        Measurement(
            name=f"{preset}: total time, launch to final evaluation",
            values=seconds_in_all,
            unit="s",
            digits=1,
        ),
    ]


def images_per_second(points: Sequence[LossPoint], parts: int) -> list[float]:
    """Return the speed between the points, in at most `parts` parts with about the same number of points."""
    last_point = len(points) - 1
    parts = min(parts, last_point)
    speeds, first = [], 0
    for last in (round(part * last_point / parts) for part in range(1, parts + 1)):
        seconds = points[last].train_seconds - points[first].train_seconds
        if seconds:  # otherwise less than the milliseconds that points have: one part with the next
            speeds.append(sum(point.images for point in points[first + 1 : last + 1]) / seconds)
            first = last
    if not speeds:
        raise RunFailedError("too few steps to measure the training speed")
    return speeds
