"""20,000 photos of 224x224 pixels: memory beside torch, and how soon a warm cache gives the first batch."""

import json
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

from cifar_tui.bench.report import Measurement
from cifar_tui.engine.events import LossPoint, PhaseChanged, StepsDone, TrainingFinished
from cifar_tui.runs.disk.event_log import read_events
from tests.engine.data.photos import write_photo
from tests.engine.models.own.nets import write_net

PHOTOS, CLASSES, SIZE = 20_000, 4, 224
MEMORY_GIB = 2.0
FIRST_BATCH_SECONDS = 2.0

SOURCE = """
    from torch import nn


    def make_net(num_classes):
        return nn.Sequential(nn.Conv2d(3, 16, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                             nn.Linear(16, num_classes))
"""

MEASURED = """
import json, re, sys
from pathlib import Path
if sys.argv[1:]:
    from cifar_tui.cli.main import main
    code = main(sys.argv[1:])
else:
    import torch
    code = 0
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps({"code": code, "peak": int(peak[1]) * 1024}))
"""


def peak_of(*arguments):
    """The most memory, in bytes, that a process of the program took; without arguments of one with torch."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], check=True, capture_output=True, text=True
    )
    found = json.loads(re.findall(r"^\{.*\}$", done.stdout, re.MULTILINE)[-1])
    assert found["code"] in {0, None}, done.stderr
    return found["peak"]


def write_some(folder, first, count):
    for number in range(first, first + count):
        split = "test" if number % 6 == 5 else "train"
        write_photo(folder / split / f"class{number // 6 % CLASSES}" / f"{number:05}.jpg", number, (341, 256))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    with ProcessPoolExecutor() as executor:
        for done in [executor.submit(write_some, folder, first, 500) for first in range(0, PHOTOS, 500)]:
            done.result()
    return folder


@pytest.fixture(scope="module")
def trainings(photos, tmp_path_factory):
    """An epoch that decodes the photos, and one from the cache: the most memory and the events of each."""
    folder = tmp_path_factory.mktemp("trained")
    settings = {
        "model": f"{write_net(folder, SOURCE)}:make_net",
        "image_size": SIZE,
        "batch_size": 32,
        "normalization": "dataset",
        "data_dir": folder / "data",
        "epochs": 1,
        "device": "cpu",
    }
    chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    found = []
    for name in ("decoding", "warm"):
        runs = folder / name
        peak = peak_of("train", "--headless", "--data", str(photos), "--checkpoints", str(runs), *chosen)
        (run,) = (path for path in runs.iterdir() if path.is_dir())
        found.append((peak, list(read_events(run))))
    return found


def test_memory_beside_torch_is_bounded(trainings, check):
    torch = peak_of()
    rows = [
        Measurement(
            name=f"memory beside torch, {PHOTOS:,} photos of {SIZE}x{SIZE}, {name}",
            values=((peak - torch) / 2**30,),
            unit="GiB",
            at_most=MEMORY_GIB,
        )
        for name, (peak, _) in zip(("decoding them", "from the cache"), trainings, strict=True)
    ]
    assert all(any(isinstance(event, TrainingFinished) for event in events) for _, events in trainings)
    check(*rows)


def test_a_warm_cache_gives_the_first_batch_at_once(trainings, check):
    _, events = trainings[-1]
    loading = next(
        event.time
        for event in events
        if isinstance(event, PhaseChanged) and event.message.startswith("dataset")
    )
    trained = next(event.time for event in events if isinstance(event, StepsDone | LossPoint))
    check(
        Measurement(
            name="from loading to the first batches, from the cache",
            values=(trained - loading,),
            unit="s",
            at_most=FIRST_BATCH_SECONDS,
        )
    )
