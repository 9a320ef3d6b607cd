"""`Dataset`: labelled images in memory, whatever their source."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cifar_tui.engine.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSplit:
    """Images and their classes.

    Attributes:
        images: uint8, shape (N, 3, 32, 32), RGB, 0-255.
        targets: int64, shape (N,), class indices.
    """

    images: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Training and test images of one source.

    Attributes:
        title: what the user sees it called, such as "CIFAR-10" or "folder pictures/cats".
        synthetic: whether the images are drawn by this program; then every screen says so.
        class_names: name of class 0, 1, …
        skipped_files: files that were no images, as paths relative to the folder, with the reason.
    """

    title: str
    synthetic: bool
    class_names: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    skipped_files: tuple[str, ...] = ()


def split_validation(split: ImageSplit, count: int, *, seed: int) -> tuple[ImageSplit, ImageSplit | None]:
    """`split` without `count` of its images, drawn by `seed`, and these images; None for none.

    Raises:
        ConfigError: that would leave nothing to train on.
    """
    if count == 0:
        return split, None
    if count >= len(split):
        raise ConfigError(
            f"val_size {count} leaves none of the {len(split)} training images to train on",
            field="val_size",
        )
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    held, kept = order[:count].sort().values, order[count:].sort().values
    return (
        ImageSplit(images=split.images[kept], targets=split.targets[kept]),
        ImageSplit(images=split.images[held], targets=split.targets[held]),
    )
