"""`Dataset`: labelled images in memory, from any source."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cifar_tui.engine.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSplit:
    """Images with their labels.

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
    """Training and test images.

    Attributes:
        title: the name shown to the user, such as "CIFAR-10" or "folder pictures/cats".
        synthetic: whether the images are synthetic; every screen then says so.
        class_names: names of class 0, 1, …
        skipped_files: files that are not images, as "path: reason" relative to the folder.
    """

    title: str
    synthetic: bool
    class_names: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    skipped_files: tuple[str, ...] = ()


def split_validation(split: ImageSplit, count: int, *, seed: int) -> tuple[ImageSplit, ImageSplit | None]:
    """Split off `count` random validation images: return the remaining images and these, or None for 0.

    Raises:
        ConfigError: no images would remain to train on.
    """
    if count == 0:
        return split, None
    if count >= len(split):
        raise ConfigError(
            f"val_size {count} must be below the number of training images, {len(split)}",
            field="val_size",
        )
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    train, validation = (
        ImageSplit(images=split.images[indices], targets=split.targets[indices])
        for indices in (order[count:].sort().values, order[:count].sort().values)
    )
    return train, validation


def normalize(images: Tensor) -> Tensor:
    """Convert `images`, uint8 (N, 3, H, W), to float32 in [-1, 1].

    Bit for bit torchvision's `ToTensor` and `Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))`.
    """
    return images.to(torch.float32).div_(255).sub_(0.5).div_(0.5)
