"""Writes photos: smooth noise, each another one."""

from pathlib import Path

import numpy as np
from PIL import Image


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
