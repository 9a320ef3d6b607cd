"""The same picture in two splits is said, once, by its decoded pixels."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_tui.engine.data.duplicates import duplicate_warnings
from tests.engine.data.folders import load


def said(root: Path) -> list[str]:
    return [warning for warning in load(root).warnings if "pixel for pixel" in warning]


def test_copies_of_training_images_are_counted_with_the_first_pair(both: Path) -> None:
    assert said(both) == []
    shutil.copy(both / "train" / "cat" / "2.png", both / "test" / "cat" / "x.png")
    shutil.copy(both / "train" / "cat" / "3.png", both / "test" / "dog" / "y.png")  # under another class, too
    expected = (
        "2 of 7 test images are also in the training set, pixel for pixel (the first: 'test/cat/x.png' and "
        "'train/cat/2.png'): remove one of each pair to measure on unseen images"
    )
    assert said(both) == said(both) == [expected], "decoded, then from the cache"


def test_another_file_of_the_same_pixels_is_the_same_image(both: Path) -> None:
    Image.open(both / "train" / "dog" / "0.png").save(both / "test" / "dog" / "z.bmp")
    (warning,) = said(both)
    assert warning.startswith("1 of 6 test images is also in the training set")


def test_validation_images_are_compared_with_both(both: Path) -> None:
    shutil.copytree(both / "test", both / "val")
    shutil.copy(both / "train" / "dog" / "1.png", both / "val" / "dog" / "x.png")
    of_training, of_validation = said(both)
    assert of_training.startswith("1 of 6 validation images is also in the training set")
    assert of_validation.startswith("5 of 5 test images are also in the validation set")


def test_copies_that_the_seed_puts_into_different_splits_are_found(
    tmp_path: Path, picture: Callable[..., Path]
) -> None:
    for name in ("cat", "dog"):
        for value in range(12):
            picture(tmp_path / "images" / name / f"{value}.png", 7 if name == "cat" else value + 10)
    (warning,) = said(tmp_path / "images")
    assert "'cat/" in warning
    assert "dog/" not in warning


@pytest.mark.parametrize("pixel", [0, 1535, 3071])
def test_images_that_differ_in_one_pixel_only_are_two(pixel: int) -> None:
    pixels = np.full((2, 3072), 255, dtype=np.uint8)
    pixels[1, pixel] = 254
    splits = {"train": torch.tensor([0]), "test": torch.tensor([1])}
    images = torch.from_numpy(pixels).reshape(2, 3, 32, 32)
    assert duplicate_warnings(images, ["a", "b"], splits) == []
