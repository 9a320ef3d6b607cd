"""What pixels become: bit for bit as torchvision does it, and with measured means what numpy measures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import transforms

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.data.normalization import (
    IMAGENET,
    TUTORIAL,
    Normalization,
    named_normalization,
    normalization_in,
)
from cifar_tui.engine.data.statistics import measured_normalization
from tests.engine.data.folders import load
from tests.engine.data.photos import write_photos

EVERY_VALUE = torch.arange(256, dtype=torch.uint8).expand(1, 3, 4, 256).contiguous()


@pytest.mark.parametrize(
    "normalization", [TUTORIAL, IMAGENET, Normalization(mean=(0.1,) * 3, std=(0.7,) * 3)]
)
def test_every_value_becomes_the_bits_of_torchvision(normalization: Normalization) -> None:
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(normalization.mean, normalization.std)]
    )
    expected = transform(EVERY_VALUE[0].permute(1, 2, 0).numpy())
    assert torch.equal(normalization.apply(EVERY_VALUE)[0], expected)


@pytest.mark.parametrize("size", [32, 48])
def test_the_mean_and_deviation_are_those_of_all_training_pixels(tmp_path: Path, size: int) -> None:
    train = load(write_photos(tmp_path / "photos", train=5, test=1), image_size=size).train
    shades = train.take(slice(None)).numpy() / 255
    measured = measured_normalization(train)
    assert np.allclose(measured.mean, shades.mean(axis=(0, 2, 3)), atol=1e-12)
    assert np.allclose(measured.std, shades.std(axis=(0, 2, 3)), atol=1e-9)
    inputs = ImageSplit(images=train.images, targets=train.targets, normalization=measured).inputs(
        slice(None)
    )
    assert inputs.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (inputs.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    part = measured_normalization(train.select(torch.arange(3)))
    assert np.allclose(part.mean, shades[:3].mean(axis=(0, 2, 3)), atol=1e-12)


def test_images_of_one_shade_have_finite_inputs() -> None:
    train = ImageSplit(images=torch.full((5, 3, 32, 32), 7, dtype=torch.uint8), targets=torch.zeros(5))
    measured = measured_normalization(train)
    assert measured.std == (1 / 255,) * 3
    assert measured.apply(train.take(slice(None))).abs().max() < 1e-3


def test_settings_name_what_needs_no_images() -> None:
    names = ("auto", "tutorial", "imagenet", "dataset")
    assert [named_normalization(name) for name in names] == [TUTORIAL, TUTORIAL, IMAGENET, None]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"mean": [0.5] * 3},
        {"mean": [0.5] * 3, "std": [0.5] * 2},
        {"mean": [0.5] * 3, "std": [0.5, 0.5, 0.0]},
        {"mean": [0.5] * 3, "std": [0.5, 0.5, -1.0]},
        {"mean": ["0.5"] * 3, "std": [0.5] * 3},
        {"mean": [float("nan")] * 3, "std": [0.5] * 3},
        {"mean": [True] * 3, "std": [0.5] * 3},
    ],
)
def test_only_what_is_a_normalization_is_read_as_one(value: object) -> None:
    assert normalization_in(IMAGENET.to_dict()) == IMAGENET
    assert normalization_in(value) is None
