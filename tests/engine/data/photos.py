"""Photos: smooth noise, each another one; and what becomes of them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_tui.engine.data import decode
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.decode import UnreadableImageError
from cifar_tui.engine.data.registry import Progress

QUIET = Progress(lambda _: None, lambda: False)


def write_photo(path: Path, seed: int, size: tuple[int, int] = (120, 90)) -> Path:
    """Write a photo whose pixels depend on `seed`, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def write_photos(root: Path, *, train: int, test: int, classes: int = 2) -> Path:
    """Write so many photos of each class into train/ and test/ below `root`."""
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            for target in range(classes):
                seed = (number * classes + target) * 2 + (split == "test")
                write_photo(root / split / f"class{target}" / f"{number:03}.png", seed)
    return root


def expected_photo(path: Path, size: int) -> np.ndarray:
    """The photo at `path` as Pillow resizes its centre square: uint8 (size, size, 3)."""
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS, box=box))


def cached(photos: Path) -> list[str]:
    """The names of the files in the cache of the data folder beside `photos`."""
    return sorted(path.name for path in (photos.parent / "data" / "cache").iterdir())


def pixels(dataset: Dataset) -> torch.Tensor:
    """All training images."""
    return dataset.train.take(slice(None))


@contextlib.contextmanager
def unreadable(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has a disk that does not give the files called `name` in a block."""
    real = decode.decode_image

    def failing(path, size):
        if path.name == name:
            raise UnreadableImageError("Input/output error", passing=True)
        return real(path, size)

    with monkeypatch.context() as patch:
        patch.setattr("cifar_tui.engine.data.decode_files.decode_image", failing)
        yield
