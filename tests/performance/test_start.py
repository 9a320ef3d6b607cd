"""How soon help and the dashboard are shown, a first step is trained, and 60,000 images are loaded."""

import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from cifar_tui.bench.options import arguments_of
from cifar_tui.bench.report import Measurement
from tests.performance.terminal import DashboardTraining, idle_dashboard

HELP_RATIO = 0.15
FIRST_FRAME_RATIO = 0.4
FIRST_STEP_RATIO = 1.6
CACHED_LOADING_SECONDS = 1.0

ROUNDS = 3
SIZE = (120, 40)
FIRST_FRAME = r"\bt\s+[Tt]rain"
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000

LOAD = """
import sys, time
from pathlib import Path
import torch
from cifar_tui.engine.data.sources import load_dataset
start = time.perf_counter()
dataset = load_dataset(
    sys.argv[1], data_dir=Path(sys.argv[2]), seed=0, report=lambda _: None, cancelled=lambda: False
)
print(time.perf_counter() - start)
assert (len(dataset.train), len(dataset.test)) == (50_000, 10_000)
"""


def seconds_of(*arguments):
    start = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.monotonic() - start


def ratios(values, others):
    return tuple(value / other for value, other in zip(values, others, strict=True))


def load_in_a_fresh_process(images, data_dir):
    command = [sys.executable, "-c", LOAD, str(images), str(data_dir)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of as many images as CIFAR-10 has, in a format that takes no time to decode."""
    folder = tmp_path_factory.mktemp("performance") / "images"
    noise = np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), dtype=np.uint8)
    pictures = [Image.fromarray(pixels) for pixels in noise]
    for part, count in (("train", TRAIN_IMAGES), ("test", TEST_IMAGES)):
        for name in "abcdefghij":
            (folder / part / name).mkdir(parents=True)
        for number in range(count):
            path = folder / part / "abcdefghij"[number % 10] / f"{number:05d}.bmp"
            pictures[number % len(pictures)].save(path)
    return folder


def test_help_takes_a_small_part_of_the_time_to_import_torch(check):
    imports = [seconds_of("-c", "import torch") for _ in range(ROUNDS)]
    helps = [seconds_of("-m", "cifar_tui", "--help") for _ in range(ROUNDS)]
    check(
        Measurement(
            name="--help, over import torch", values=ratios(helps, imports), digits=3, at_most=HELP_RATIO
        )
    )


def test_first_frame_is_drawn_long_before_torch_is_imported(check, tmp_path):
    frames, imports = [], []
    for _ in range(ROUNDS):
        imports.append(seconds_of("-c", "import torch"))
        with idle_dashboard(["--checkpoints", str(tmp_path)], SIZE) as terminal:
            terminal.until(FIRST_FRAME)
            frames.append(time.monotonic() - terminal.started)
    check(
        Measurement(name="program to first frame", values=tuple(frames), unit="s"),
        Measurement(
            name="first frame, over import torch",
            values=ratios(frames, imports),
            at_most=FIRST_FRAME_RATIO,
        ),
    )


def test_cached_images_are_loaded_at_once(check, slowness, images, tmp_path):
    first = load_in_a_fresh_process(images, tmp_path)
    values = tuple(load_in_a_fresh_process(images, tmp_path) for _ in range(ROUNDS))
    name = f"loading {TRAIN_IMAGES + TEST_IMAGES:,} images"
    check(
        Measurement(name=f"{name}, no cache", values=(first,), unit="s"),
        Measurement(
            name=f"{name} from the cache",
            values=values,
            unit="s",
            at_most=slowness * CACHED_LOADING_SECONDS,
        ),
    )


def test_first_step_follows_soon_after_the_imports(check, steady_config, images, tmp_path):
    load_in_a_fresh_process(images, tmp_path)
    config = steady_config("tutorial", data=str(images), data_dir=str(tmp_path), epochs=2, chart_every=1)
    steps, imports = [], []
    for number in range(ROUNDS):
        imports.append(seconds_of("-c", "import torch, torchvision"))
        folder = tmp_path / str(number)
        with idle_dashboard([*arguments_of(config), "--checkpoints", str(folder)], SIZE) as terminal:
            training = DashboardTraining(terminal, folder)
            terminal.until(FIRST_FRAME)
            terminal.read_for(0.5)
            pressed = time.time()
            terminal.press("t")
            training.wait_for(lambda: bool(training.points))  # noqa: B023 - called in this iteration
            assert training.points[0].step == 1
            steps.append(training.points[0].time - pressed)
    check(
        Measurement(name="t to the first step, cached images", values=tuple(steps), unit="s"),
        Measurement(
            name="first step, over import torch, torchvision",
            values=ratios(steps, imports),
            at_most=FIRST_STEP_RATIO,
        ),
    )
