"""The synthetic images: bit-identical everywhere, balanced, and drawn without the global random state."""

import hashlib
from pathlib import Path

import pytest
import torch

from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.data.synthetic import CLASS_NAMES, load_synthetic
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import LoadingProgress

GOLDEN = "fe3c91daff573d72e2e24c814c76639c"


def ignore(event: LoadingProgress) -> None:
    """Take a report and do nothing."""


def draw(seed: int, *, train: int, test: int) -> Dataset:
    progress = Progress(ignore, lambda: False)
    return load_synthetic(data_dir=Path(), seed=seed, progress=progress, train_images=train, test_images=test)


def digest(images: torch.Tensor) -> str:
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()[:32]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return draw(7, train=2000, test=400)


def test_the_images_of_a_seed_are_the_same_everywhere(dataset: Dataset) -> None:
    assert digest(dataset.train.images) == GOLDEN


def test_another_seed_draws_other_images_and_neither_touches_the_global_random_state() -> None:
    before = torch.random.get_rng_state()
    first, second = draw(7, train=50, test=10), draw(8, train=50, test=10)
    torch.manual_seed(1)
    again = draw(7, train=50, test=10)
    assert digest(first.train.images) == digest(again.train.images) != digest(second.train.images)
    torch.random.set_rng_state(before)
    draw(7, train=50, test=10)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_shapes_balance_and_range(dataset: Dataset) -> None:
    assert dataset.synthetic
    assert "synthetic" in dataset.title
    assert dataset.class_names == CLASS_NAMES
    assert dataset.train.images.shape == (2000, 3, 32, 32)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.targets.dtype == torch.int64
    assert torch.bincount(dataset.train.targets).tolist() == [200] * 10
    assert torch.bincount(dataset.test.targets).tolist() == [40] * 10
    assert dataset.test.targets[:10].unique().numel() == 10
    assert 90 < dataset.train.images.float().mean() < 165
    assert len({digest(image) for image in dataset.train.images}) == 2000


def test_the_whole_set_is_drawn_in_memory(tmp_path: Path) -> None:
    dataset = load_dataset("synthetic", data_dir=tmp_path, seed=0, report=ignore, cancelled=lambda: False)
    assert (len(dataset.train), len(dataset.test)) == (30_000, 6_000)
    assert list(tmp_path.iterdir()) == []


def test_drawing_can_be_cancelled() -> None:
    with pytest.raises(CancelledError, match="stopped while generating images"):
        load_dataset("synthetic", data_dir=Path(), seed=0, report=ignore, cancelled=lambda: True)
