"""`cifar-tui bench start`: how soon there is a screen, a first training step, and a set of images."""

import dataclasses
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tui.bench.image_folder import Loading, make_image_folder, measure_loading
from cifar_tui.bench.logged_run import LoggedRun, new_place, program
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.bench.terminal import Terminal
from cifar_tui.engine.config.schema import DATA_KEYWORDS, TrainConfig
from cifar_tui.engine.errors import RunFailedError

PAINT_LIMIT_RATIO = 0.4
"""The screen stands long before torch would be imported."""

STEP_LIMIT_RATIO = 1.6
LOADING_LIMIT_SECONDS = 1.0

_TRAIN_IMAGES, _TEST_IMAGES = 50_000, 10_000
_COLUMNS, _ROWS = 120, 40
_FIRST_FRAME = "t trains"
_SETTLE_SECONDS = 0.5
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class StartBench:
    """What was measured, each in fresh processes.

    Attributes:
        first_paint: from the start of the program until the dashboard is seen, in seconds.
        import_torch: a process that imports torch and ends.
        import_both: one that imports torch and torchvision.
        first_step: from `t` to the end of the first training step, with the images in the cache.
        cold_step: the same with no cache yet; None where the images are not those of a folder.
        paint_ratio: first paint over the import of torch, of each pair.
        step_ratio: first step over the import of torch and torchvision, of each pair.
        first_loading: loading images that have no cache yet; where they are not those of a folder, as it
            was found.
        loading: loading them from the cache.
        read_loading: the same until every byte of them was read.
        images: how many they are.
        device: what was trained on, for the user to read.
        backend: how the steps were made, for the user to read.
    """

    first_paint: Spread
    import_torch: Spread
    import_both: Spread
    first_step: Spread
    cold_step: Spread | None
    paint_ratio: Spread
    step_ratio: Spread
    first_loading: float
    loading: Spread
    read_loading: Spread
    images: int
    device: str
    backend: str

    @property
    def title(self) -> str:
        """What stands above the table."""
        return f"The start, on {self.device}, {self.backend}"

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return all(row.met for row in self.figures())

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        images = f"{self.images:,} images"
        cold = []
        if self.cold_step is not None:
            quantity = f"t to the first training step, {images} that have no cache"
            cold.append(Figure(quantity=quantity, spread=self.cold_step, unit="s"))
        return [
            Figure(quantity="program to first frame", spread=self.first_paint, unit="s"),
            Figure(quantity="import torch", spread=self.import_torch, unit="s"),
            Figure(
                quantity="first frame over import torch",
                spread=self.paint_ratio,
                at_most=PAINT_LIMIT_RATIO,
            ),
            Figure(quantity="t to the first training step, warm cache", spread=self.first_step, unit="s"),
            Figure(quantity="import torch, torchvision", spread=self.import_both, unit="s"),
            Figure(
                quantity="first step over import torch, torchvision",
                spread=self.step_ratio,
                at_most=STEP_LIMIT_RATIO,
            ),
            *cold,
            Figure(quantity=f"loading {images}, no cache", spread=spread([self.first_loading]), unit="s"),
            Figure(
                quantity=f"loading {images} from the cache",
                spread=self.loading,
                unit="s",
                at_most=LOADING_LIMIT_SECONDS,
            ),
            Figure(quantity="the same, with every byte read", spread=self.read_loading, unit="s"),
        ]

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values: the medians, and the spreads apart from them."""
        spreads = {
            "first_paint_seconds": self.first_paint,
            "import_torch_seconds": self.import_torch,
            "first_paint_ratio": self.paint_ratio,
            "first_step_seconds": self.first_step,
            "import_torch_torchvision_seconds": self.import_both,
            "first_step_ratio": self.step_ratio,
            **({} if self.cold_step is None else {"cold_first_step_seconds": self.cold_step}),
            "cached_loading_seconds": self.loading,
            "cached_reading_seconds": self.read_loading,
        }
        return {
            **{name: found.median for name, found in spreads.items()},
            "first_loading_seconds": self.first_loading,
            "images": self.images,
            "device": self.device,
            "backend": self.backend,
            "spreads": {name: dataclasses.asdict(found) for name, found in spreads.items()},
            "limits": {
                "first_paint_ratio": PAINT_LIMIT_RATIO,
                "first_step_ratio": STEP_LIMIT_RATIO,
                "cached_loading_seconds": LOADING_LIMIT_SECONDS,
            },
            "met": self.met,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class _FirstStep:
    """Seconds from `t` to its end, and the device and the step path of its training."""

    seconds: float
    device: str
    backend: str


def measure_start(
    options: BenchOptions,
    *,
    rounds: int = 3,
    train_images: int = _TRAIN_IMAGES,
    test_images: int = _TEST_IMAGES,
) -> StartBench:
    """Start programs in turn, `rounds` times each.

    The images are those of `options`, or as many as CIFAR-10 has in a folder that is made for it. A folder is
    also trained on without a cache: what is downloaded or drawn has none that could be left out.

    Raises:
        UserError: it cannot be done on these images or this device.
        OSError: that folder cannot be made.
        RunFailedError: a program failed.
    """
    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name:
        places = Path(name)
        data, data_dir = options.data, Path(options.data_dir).absolute()
        if data is None:
            show_progress(f"making {train_images + test_images:,} images")
            data = str(places / "images")
            make_image_folder(Path(data), train_images=train_images, test_images=test_images)
        in_folder = data not in DATA_KEYWORDS
        if in_folder:
            data_dir = places / "data"  # where nothing is cached yet
        first_loading = measure_loading(data, data_dir)
        # a point at every step: the first one tells of the first step
        config = options.config("tutorial", data=data, data_dir=str(data_dir), chart_every=1)
        paints, torches, boths = [], [], []
        steps: list[_FirstStep] = []
        cold_steps: list[_FirstStep] = []
        loadings: list[Loading] = []
        for number in range(rounds):
            show_progress(f"starting programs, {number + 1} of {rounds}", passing=True)
            torches.append(_seconds_to_import("torch"))
            paints.append(_seconds_to_paint(config, places))
            boths.append(_seconds_to_import("torch, torchvision"))
            steps.append(_first_step(config, places))
            if in_folder:
                cold_steps.append(_first_step(config.replace(data_dir=str(new_place(places))), places))
            loadings.append(measure_loading(data, data_dir))
        show_progress("")
    return StartBench(
        first_paint=spread(paints),
        import_torch=spread(torches),
        import_both=spread(boths),
        first_step=spread(step.seconds for step in steps),
        cold_step=spread(step.seconds for step in cold_steps) if cold_steps else None,
        paint_ratio=spread(paint / torch for paint, torch in zip(paints, torches, strict=True)),
        step_ratio=spread(step.seconds / both for step, both in zip(steps, boths, strict=True)),
        first_loading=first_loading.seconds,
        loading=spread(loading.seconds for loading in loadings),
        read_loading=spread(loading.read_seconds for loading in loadings),
        images=first_loading.images,
        device=steps[0].device,
        backend=steps[0].backend,
    )


def _seconds_to_import(modules: str) -> float:
    began = time.monotonic()
    result = subprocess.run(  # noqa: S603 - this program's own Python
        [sys.executable, "-c", f"import {modules}"], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RunFailedError(f"import {modules} failed: {result.stderr.strip().splitlines()[-1]}")
    return time.monotonic() - began


def _seconds_to_paint(config: TrainConfig, places: Path) -> float:
    with Terminal(program(new_place(places), config), columns=_COLUMNS, rows=_ROWS) as terminal:
        return _wait_for_first_frame(terminal)


def _first_step(config: TrainConfig, places: Path) -> _FirstStep:
    checkpoints = new_place(places)
    with Terminal(program(checkpoints, config), columns=_COLUMNS, rows=_ROWS) as terminal:
        _wait_for_first_frame(terminal)
        terminal.read_for(_SETTLE_SECONDS)
        run = LoggedRun(terminal.group, checkpoints, terminal.read_for)
        began = time.time()  # as events have it
        terminal.press("t")
        run.until(lambda: bool(run.points), _LOOK_SECONDS)
        first = run.points[0]
    if first.step != 1:
        raise RunFailedError(f"the first point of a run is of step {first.step}: its start means nothing")
    return _FirstStep(seconds=first.time - began, device=run.device, backend=run.backend)


def _wait_for_first_frame(terminal: Terminal) -> float:
    if terminal.until(_FIRST_FRAME, _PATIENCE_SECONDS) is None:
        raise RunFailedError("the dashboard did not show its first frame")
    return time.monotonic() - terminal.started
