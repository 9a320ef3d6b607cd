"""A run on a file system of 4 MB that runs full and has room again."""

import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from cifar_tui.engine.events import CheckpointSaved, LossPoint
from cifar_tui.runs.disk.event_log import read_events


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.05)


def fill(path):
    """Fill the file system of `path` with it, to the last byte."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    for size in (1 << 16, 1 << 10, 1):
        try:
            while True:
                os.write(descriptor, b"x" * size)
        except OSError:
            pass
    os.close(descriptor)


def saved_steps(folder):
    return [event.step for event in read_events(folder) if isinstance(event, CheckpointSaved)]


def loaded_step(folder):
    weights = torch.load(folder / "cifar_net.pth", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in weights.values())
    return torch.load(folder / "last.pt", weights_only=True)["step"]


def test_training_goes_on_while_the_disk_is_full_and_saves_again_when_there_is_room(
    small_disk, image_folder, tmp_path
):
    settings = ["--epochs", "100000", "--set", "backend=eager"]
    for setting in ("checkpoint_every_minutes=0.002", "checkpoint_every_epochs=0", "eval_every=0"):
        settings += ["--set", setting]
    arguments = ["--data", str(image_folder), "--data-dir", str(tmp_path / "data"), "--device", "cpu"]
    # its steps only pass the time: they leave the processor to other tests
    command = ["nice", sys.executable, "-m", "cifar_tui", "train", "--headless", *arguments, *settings]
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--checkpoints", str(small_disk)], stdout=subprocess.DEVNULL, stderr=stderr
        )
    try:
        wait_until(lambda: any(saved_steps(path.parent) for path in small_disk.glob("*/last.pt")))
        (folder,) = (path.parent for path in small_disk.glob("*/last.pt"))

        def said(text):
            return text in (tmp_path / "stderr").read_text()

        filler = small_disk / "filler"
        while not said("cannot save"):  # what the program had open may have left a little room
            fill(filler)
            time.sleep(0.1)
        wait_until(lambda: said("cannot write the event log"))
        step_of_last_good = loaded_step(folder)
        assert process.poll() is None, "training continues"

        filler.unlink()
        wait_until(lambda: max(saved_steps(folder)) > step_of_last_good)
        assert loaded_step(folder) > step_of_last_good

        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
        points = [event for event in read_events(folder) if isinstance(event, LossPoint)]
        assert [a.step + b.steps for a, b in itertools.pairwise(points)] == [b.step for b in points[1:]], (
            "no point of the time without room is missing"
        )
        assert loaded_step(folder) >= points[-1].step
        assert not list(folder.glob(".*.tmp"))
    finally:
        process.kill()
        process.wait()
