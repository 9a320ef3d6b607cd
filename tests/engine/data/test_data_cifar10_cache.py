"""The official files are checked once; then their images come from the cache, until a file changes."""

import sys
from pathlib import Path

import pytest
import torch
from torchvision.datasets import CIFAR10

from cifar_tui.engine.data.cifar10 import archive_of
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.fetch import fetch
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.errors import ConfigError, DataUnavailableError


def load(data_dir: Path, dataset_class: type[CIFAR10] | None) -> tuple[Dataset, list[str]]:
    """The images, and what was told while they were loaded."""
    stages: list[str] = []
    dataset = load_dataset(
        "cifar10",
        data_dir=data_dir,
        seed=0,
        report=lambda event: stages.append(event.stage),
        cancelled=lambda: False,
        dataset_class=dataset_class,
    )
    return dataset, stages


@pytest.fixture
def batches(small_cifar10: type[CIFAR10], tmp_path: Path) -> Path:
    return fetch(archive_of(small_cifar10), tmp_path, report=lambda _: None, cancelled=lambda: False)


def test_the_second_load_gives_the_same_images_without_torchvision_and_md5s(
    batches: Path, small_cifar10: type[CIFAR10], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, stages = load(tmp_path, small_cifar10)
    assert any(stage.startswith("checking") for stage in stages)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)  # importing it fails
    second, stages = load(tmp_path, None)
    assert not stages
    for before, after in ((first.train, second.train), (first.test, second.test)):
        assert torch.equal(before.images, after.images)
        assert torch.equal(before.targets, after.targets)
    assert (first.title, first.class_names, len(first.train), len(first.test)) == (
        second.title,
        second.class_names,
        100,
        len(second.test),
    )


def test_a_file_that_changed_is_checked_again(
    batches: Path, small_cifar10: type[CIFAR10], tmp_path: Path
) -> None:
    load(tmp_path, small_cifar10)
    path = batches / "test_batch"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(DataUnavailableError, match="test_batch"):
        load(tmp_path, small_cifar10)


def test_a_damaged_cache_is_not_used(batches: Path, small_cifar10: type[CIFAR10], tmp_path: Path) -> None:
    expected, _ = load(tmp_path, small_cifar10)
    (cache,) = (tmp_path / "cache").iterdir()
    content = bytearray(cache.read_bytes())
    content[len(content) // 2] ^= 0xFF
    cache.write_bytes(content)
    dataset, stages = load(tmp_path, small_cifar10)
    assert any(stage.startswith("checking") for stage in stages)
    assert torch.equal(dataset.train.images, expected.train.images)


def test_files_that_were_never_checked_have_no_cache(
    batches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(ConfigError, match="torchvision cannot be imported"):
        load(tmp_path, None)
