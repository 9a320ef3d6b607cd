"""Fixtures of many tests: small datasets, and the machine without other tests."""

import fcntl
import gc
import os
from pathlib import Path

import hypothesis
import pytest
import torch

from cifar_tui.engine.data.dataset import Dataset, ImageSplit

# the same examples each time, however long the machine takes; --hypothesis-profile=default searches others
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")


def pytest_configure(config):
    """Let threads of PyTorch that wait for each other sleep: the workers share the cores."""
    if config.getoption("numprocesses", None):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def pytest_collection_modifyitems(items):
    """Start with the tests marked `first`: at the end, the other workers would wait for them."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Let a test marked `alone` run while no other worker runs a test."""
    alone = item.get_closest_marker("alone") is not None
    with Path(__file__).open() as room:
        with item.config.inipath.open() as door:
            fcntl.flock(door, fcntl.LOCK_EX)  # a test that waits to be alone lets no other begin
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _own_settings_folder(tmp_path_factory):
    """The theme that the user chose is neither used nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_heap():
    """Exclude what is imported by now from collections, once and for all, and collect rarely.

    Each run excludes everything that there is by then, and the next one collects it: 0.3 s in a program, but
    half of the processor time where hundreds of tests share a process.
    """
    gc.set_threshold(20_000, 20, 20)
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "freeze", lambda: None)
        patch.setattr(gc, "get_freeze_count", lambda: 0)
        yield


def _split(count: int, classes: int, seed: int) -> ImageSplit:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (count,), generator=generator)
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return ImageSplit(images=images, targets=targets)


@pytest.fixture(scope="session")
def noise_dataset() -> Dataset:
    """Noise: 840 training and 200 test images of 10 classes."""
    return Dataset(
        title="noise",
        synthetic=True,
        class_names=tuple("abcdefghij"),
        train=_split(840, 10, seed=1),
        test=_split(200, 10, seed=2),
    )


@pytest.fixture
def image_folder(tmp_path):
    """A folder of 3 classes (red, green and blue noise) with 8 training and 4 test images each."""
    return _write_images(tmp_path / "images")


@pytest.fixture(scope="session")
def shared_image_folder(tmp_path_factory):
    """The same, for runs that several tests look at; nobody writes into it."""
    return _write_images(tmp_path_factory.mktemp("shared") / "images")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, shared_image_folder):
    """A run of this process that has ended; nobody writes into its folder."""
    from cifar_tui.engine.config.schema import TrainConfig
    from cifar_tui.runs.live import LiveRun

    folder = tmp_path_factory.mktemp("finished")
    config = TrainConfig(
        data=str(shared_image_folder),
        data_dir=str(folder / "data"),
        device="cpu",
        backend="eager",
        log_every=3,
    )
    run = LiveRun(config, checkpoints=folder / "checkpoints")
    run.start_training()
    assert run.wait(60)
    return run


def _write_images(root):
    from PIL import Image

    generator = torch.Generator().manual_seed(3)
    for part, count in (("train", 8), ("test", 4)):
        for channel, name in enumerate(("red", "green", "blue")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = torch.randint(0, 80, (32, 32, 3), dtype=torch.uint8, generator=generator)
                pixels[..., channel] += 150
                Image.fromarray(pixels.numpy()).save(folder / f"{number:02d}.png")
    return root
