"""`Dataset`: labelled images in memory, from any source."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from cifar_tui.engine.data.scales import Scales
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

    def to(self, device: torch.device) -> "ImageSplit":
        """Return the images and labels on `device`."""
        return ImageSplit(images=self.images.to(device), targets=self.targets.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Training and test images.

    Attributes:
        title: the name shown to the user, such as "CIFAR-10" or "folder pictures/cats".
        synthetic: whether the images are synthetic; every screen then says so.
        class_names: names of class 0, 1, …
        validation: the folder's own validation split, if it has a test split as well.
        notes: what was found, assumed, resized and converted, each with its count.
        warnings: what was left out or makes results say less than they seem to, with names and counts.
        seeded_split: whether the seed chose which images are test images.
        root: the folder of the image files; None if the images are not in files of their own.
        train_files: of each training image its path below `root`; () without a root.
        test_files: likewise of each test image.
        scales: what is black and white in images of more than 8 bits, in this run.
    """

    title: str
    synthetic: bool
    class_names: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    validation: ImageSplit | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seeded_split: bool = False
    root: Path | None = None
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    scales: Scales = field(default_factory=dict)


def validation_split(dataset: Dataset, count: int, *, seed: int) -> tuple[ImageSplit, ImageSplit | None]:
    """Return the images to train on and those to validate with: the dataset's own, or `count` random ones.

    Raises:
        ConfigError: there would be two validation sets, or no images would remain to train on.
    """
    if dataset.validation is None:
        return split_validation(dataset.train, count, seed=seed)
    if count:
        raise ConfigError(
            f"val_size {count} would be a second validation set: {dataset.title} has one of "
            f"{len(dataset.validation):,} images; set val_size to 0",
            field="val_size",
        )
    return dataset.train, dataset.validation


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
    train, validation = (
        ImageSplit(images=split.images[positions], targets=split.targets[positions])
        for positions in split_positions(len(split), count, seed=seed)
    )
    return train, validation


def split_positions(total: int, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Choose `count` random positions of `total` to validate with: return the remaining ones and these."""
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return order[count:].sort().values, order[:count].sort().values


def normalize(images: Tensor) -> Tensor:
    """Convert `images`, uint8 (N, 3, H, W), to float32 in [-1, 1].

    Bit for bit torchvision's `ToTensor` and `Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))`.
    """
    return images.to(torch.float32).div_(255).sub_(0.5).div_(0.5)
