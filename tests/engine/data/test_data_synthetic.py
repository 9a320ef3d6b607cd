import hashlib
import time
from pathlib import Path

import pytest
import torch

from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.data.synthetic import CLASS_NAMES, draw_dataset
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import LoadingProgress

GOLDEN = "fe3c91daff573d72e2e24c814c76639c"


def ignore(event: LoadingProgress) -> None:
    """Take a report and do nothing."""


def draw(seed: int, train: int = 2000, test: int = 400) -> Dataset:
    return draw_dataset(
        seed=seed, report=ignore, cancelled=lambda: False, train_images=train, test_images=test
    )


def digest(images: torch.Tensor) -> str:
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()[:32]


def test_same_seed_same_bits() -> None:
    assert digest(draw(7).train.images) == GOLDEN
    assert digest(draw(7).train.images) != digest(draw(8).train.images)


def test_no_global_random_state_is_touched_or_used() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert digest(draw(7).train.images) == GOLDEN
    assert torch.equal(torch.random.get_rng_state(), before)


def test_shapes_balance_and_range() -> None:
    dataset = draw(0)
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


def test_whole_set_is_quick(tmp_path: Path) -> None:
    start = time.monotonic()
    dataset = load_dataset("synthetic", data_dir=tmp_path, seed=0, report=ignore, cancelled=lambda: False)
    assert time.monotonic() - start < 5  # 0.7 s on two idle cores; the machine may be busy
    assert (len(dataset.train), len(dataset.test)) == (30_000, 6_000)
    assert list(tmp_path.iterdir()) == []


def test_cancel() -> None:
    with pytest.raises(CancelledError):
        draw_dataset(seed=0, report=ignore, cancelled=lambda: True)
