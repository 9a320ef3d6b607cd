"""The test images and predictions in a run's folder."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.events import SAMPLE_IMAGES
from cifar_tui.runs.disk import samples as samples_module
from cifar_tui.runs.disk.samples import (
    read_predictions,
    read_samples,
    read_test_files,
    write_predictions,
    write_samples,
    write_test_files,
)
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.listing import delete_run
from cifar_tui.runs.results import ImagePredictions

CLASSES = 10


def made_split(seed=0, count=100):
    generator = torch.Generator().manual_seed(seed)
    return ImageSplit(
        images=torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator),
        targets=torch.randint(0, CLASSES, (count,), generator=generator),
    )


@pytest.fixture
def make_folder(tmp_path):
    def make(name):
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, TrainConfig())
        return tmp_path / name

    return make


def assert_holds(folder, split):
    images, targets = read_samples(folder, classes=CLASSES)
    assert np.array_equal(images, split.images.permute(0, 2, 3, 1).numpy())
    assert np.array_equal(targets, split.targets.numpy())


def file_of(folder):
    return (folder / "samples.bin").stat().st_ino


def test_runs_on_the_same_test_images_share_one_file_until_the_last_is_deleted(make_folder):
    folders = [make_folder(name) for name in "abc"]
    for folder, split in zip(folders, (made_split(), made_split(), made_split(1)), strict=True):
        write_samples(folder, split)
    first, second, other = folders
    assert file_of(first) == file_of(second) != file_of(other)
    delete_run(first)
    assert_holds(second, made_split())
    assert_holds(other, made_split(1))


def test_a_resume_with_other_images_replaces_its_own_file_only(make_folder):
    first, second = make_folder("a"), make_folder("b")
    for folder in (first, second, second):  # the second time, nothing has changed
        write_samples(folder, made_split())
    write_samples(second, made_split(1))
    assert_holds(first, made_split())
    assert_holds(second, made_split(1))
    write_samples(second, made_split())
    assert file_of(first) == file_of(second)
    assert not list(second.glob(".*"))


def test_without_hard_links_each_run_has_a_copy(make_folder, monkeypatch):
    def no_links(_source, _path):
        raise PermissionError

    monkeypatch.setattr(samples_module, "link_atomically", no_links)
    first, second = make_folder("a"), make_folder("b")
    for folder in (first, second):
        write_samples(folder, made_split())
    assert file_of(first) != file_of(second)
    assert_holds(second, made_split())


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1] + b"x", lambda content: content + b"x"],
    ids=["another byte", "a byte more"],
)
def test_a_damaged_file_is_not_shared(make_folder, damage):
    first, second = make_folder("a"), make_folder("b")
    write_samples(first, made_split())
    path = first / "samples.bin"
    path.write_bytes(damage(path.read_bytes()))
    write_samples(second, made_split())
    assert file_of(first) != file_of(second)
    assert_holds(second, made_split())


def test_a_disk_that_is_nearly_full_keeps_the_first_images(make_folder, monkeypatch):
    free = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(samples_module.shutil, "disk_usage", lambda _: free)
    folder, split = make_folder("a"), made_split()
    write_samples(folder, split)
    first = ImageSplit(images=split.images[:SAMPLE_IMAGES], targets=split.targets[:SAMPLE_IMAGES])
    assert_holds(folder, first)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:64],
        lambda content: content[:-1],
        lambda content: b"\x93NUMPY" + b"x" * 1000,
        lambda content: content.replace(b"(100,), }" + b" " * 12, b"(1" + b"0" * 14 + b",), }"),
        lambda content: content.replace(b"(100,), }" + b" " * 18, b"(1" + b"0" * 20 + b",), }"),
        lambda content: content.replace(b"<i8", b"|O8"),
        lambda content: content.replace(b"(100,)", b"(100, "),
    ],
    ids=["empty", "only the header", "cut short", "no header", "too many", "far too many", "pickled", "torn"],
)
def test_damaged_samples_are_read_as_none(make_folder, damage):
    folder = make_folder("a")
    write_samples(folder, made_split())
    path = folder / "samples.bin"
    path.write_bytes(damage(path.read_bytes()))
    assert read_samples(folder, classes=CLASSES) is None


def test_a_file_that_becomes_shorter_is_an_error_of_the_images_it_lacks(make_folder):
    folder = make_folder("a")
    write_samples(folder, made_split())
    images, _ = read_samples(folder, classes=CLASSES)
    with (folder / "samples.bin").open("rb+") as file:
        file.truncate((folder / "samples.bin").stat().st_size - 1)
    assert np.array_equal(images[98], made_split().images[98].permute(1, 2, 0))
    with pytest.raises(OSError, match="shorter"):
        images[99]
    with pytest.raises(IndexError):
        images[100]


def test_samples_of_more_classes_than_there_are_names_are_read_as_none(make_folder):
    folder = make_folder("a")
    write_samples(folder, made_split())
    assert read_samples(folder, classes=CLASSES - 1) is None


def made_predictions(count, **others):
    random = np.random.default_rng(0)
    top = random.permuted(np.tile(np.arange(CLASSES), (count, 1)), axis=1)[:, :5]
    values = {
        "step": 500,
        "targets": np.arange(count) % CLASSES,
        "losses": random.random(count, dtype=np.float32),
        "top_classes": top,
        "top_confidences": random.random(top.shape, dtype=np.float32),
    }
    return ImagePredictions(**{**values, **others})


def test_predictions_are_read_as_they_were_written(tmp_path):
    written = made_predictions(10_000)
    write_predictions(tmp_path, written)
    read = read_predictions(tmp_path, classes=CLASSES)
    assert read.step == 500
    for name in ("targets", "losses", "top_classes", "top_confidences", "predicted", "confidences"):
        assert np.array_equal(getattr(read, name), getattr(written, name)), name
    assert (tmp_path / "predictions.npz").stat().st_size < 400_000
    assert read_predictions(tmp_path, classes=CLASSES - 1) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"losses": np.zeros(9, np.float32)},
        {"losses": np.full(10, np.nan, np.float32)},
        {"losses": np.full(10, -1, np.float32)},
        {"targets": np.arange(9) % 3},
        {"targets": np.full(10, CLASSES)},
        {"top_confidences": np.full((10, 5), 1.5, np.float32)},
        {"top_confidences": np.zeros((10, 4), np.float32)},
        {"top_classes": np.zeros((10, 0), int), "top_confidences": np.zeros((10, 0), np.float32)},
    ],
    ids=lambda wrong: " ".join(wrong),
)
def test_predictions_that_cannot_be_are_read_as_none(tmp_path, wrong):
    write_predictions(tmp_path, made_predictions(10))
    assert read_predictions(tmp_path, classes=CLASSES) is not None
    write_predictions(tmp_path, made_predictions(10, **wrong))
    assert read_predictions(tmp_path, classes=CLASSES) is None


def test_the_files_of_the_test_images_are_read_as_they_were_written(tmp_path):
    files = ["test/a/1.png", "test/caf\udce9/2.png", "test/고양이/3.png"]
    write_test_files(tmp_path, Path("/photos"), files)
    assert read_test_files(tmp_path, count=3) == (Path("/photos"), tuple(files))
    assert read_test_files(tmp_path, count=4) == (None, ()), "of other images"
    write_test_files(tmp_path, None, ())
    assert read_test_files(tmp_path, count=0) == (None, ())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"root": 1, "files": ["a"]}', '{"root": "/", "files": [1]}', "[" * 100_000]
)
def test_damaged_names_of_files_are_read_as_none(tmp_path, content):
    (tmp_path / "test_files.json").write_text(content)
    assert read_test_files(tmp_path, count=1) == (None, ())


@pytest.mark.parametrize("content", [None, b"", b"a picture", b"PK\x03\x04" + bytes(100)])
def test_damaged_predictions_are_read_as_none(tmp_path, content):
    if content is not None:
        (tmp_path / "predictions.npz").write_bytes(content)
    assert read_predictions(tmp_path, classes=CLASSES) is None


def test_predictions_with_a_wrong_byte_are_read_as_none(tmp_path):
    write_predictions(tmp_path, made_predictions(100, targets=[1] * 100))
    path = tmp_path / "predictions.npz"
    content = bytearray(path.read_bytes())
    content[content.index(b"\x01\x00" * 50) + 10] ^= 2
    path.write_bytes(content)
    assert read_predictions(tmp_path, classes=CLASSES) is None


def put_link(path, theirs):
    path.symlink_to(theirs)


def put_fifo(path, _):
    os.mkfifo(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("put", [put_link, put_fifo])
@pytest.mark.parametrize("name", ["samples.bin", "predictions.npz"])
def test_what_is_no_file_of_the_run_is_read_as_none_and_not_waited_for(make_folder, tmp_path, name, put):
    folder = make_folder("a")
    write_samples(folder, made_split())
    write_predictions(folder, made_predictions(100))
    theirs = (folder / name).rename(tmp_path / "theirs")
    put(folder / name, theirs)
    found = {
        "samples.bin": read_samples(folder, classes=CLASSES),
        "predictions.npz": read_predictions(folder, classes=CLASSES),
    }
    assert [name for name, content in found.items() if content is None] == [name]
